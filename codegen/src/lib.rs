//! Generates typed event emitters from annotated protobuf schemas.
