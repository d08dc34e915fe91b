//! Procedural macros over the generated emitters of `events-sdk`.
