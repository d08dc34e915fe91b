//! The connection to Toggle: registration and the event stream behind it.
