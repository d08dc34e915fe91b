//! What an answer of Toggle, or the lack of one, means for a batch.
//!
//! | status | kind | because |
//! |---|---|---|
//! | `UNAVAILABLE`, `DEADLINE_EXCEEDED`, `CANCELLED`, `ABORTED` | unavailable | gRPC's own invitation to try again |
//! | `UNKNOWN`, `INTERNAL`, `DATA_LOSS` | failed | something broke over there, perhaps over this batch |
//! | the same, made of an HTTP status by a proxy | unavailable | Toggle has not seen the batch |
//! | anything that tonic, HTTP/2 or TLS said on our side | unavailable | the batch may not even have arrived |
//! | `UNIMPLEMENTED`, `NOT_FOUND` | unavailable | rather a wrong address or an old Toggle than a bad event |
//! | `FAILED_PRECONDITION` | unavailable | Toggle must be put right first; any batch would fare the same |
//! | `UNAUTHENTICATED`, `PERMISSION_DENIED` | unauthenticated | another token is needed |
//! | `RESOURCE_EXHAUSTED` | busy | a quota or a rate: slower |
//! | `RESOURCE_EXHAUSTED`, `OUT_OF_RANGE`, HTTP 413, and the text says that the message is too long | too large | fewer events at once will pass |
//! | the same text, but tonic said it on our side | unavailable | the answer is too long, and Toggle may have the batch |
//! | `INVALID_ARGUMENT`, other `OUT_OF_RANGE` | refused | the content is at fault, and another batch may pass |
//! | `ALREADY_EXISTS` | refused | not the acknowledgement that the protocol knows, so not taken for one |
//! | answered, `success = false` | declined | Toggle gives its reason in `message` |
//!
//! Only what blames the content of a batch is "refused", for a refused batch is taken apart and its bad events are
//! quarantined: with a blunter rule a misconfigured Toggle would send a whole node's events there.

use std::{error::Error, time::Duration};

use prost::Message;

use tonic::{Code, ConnectError, Status};

use super::{SendErrorKind, guard::was_received};

/// The longest text that is quoted from a status, in characters: enough for a sentence and its causes, too little to
/// fill a log with the error page of a proxy.
const MAX_QUOTED_CHARS: usize = 600;

/// How servers say that a message is too long: grpc-go and C++ (twice), Java, .NET, tonic (twice).
const TOO_LARGE: &[&str] = &[
    "message larger than max",
    "message after decompression larger than max",
    "message exceeds maximum size",
    "message exceeds the maximum configured message size",
    "message length too large",
    "exceeded while decompressing message",
];

/// The kind of failure a status stands for; see the table above.
pub(crate) fn kind_of(status: &Status) -> SendErrorKind {
    if is_ours(status) {
        // ENHANCE_YOUR_CALM arrives as RESOURCE_EXHAUSTED: the peer did say something.
        return match status.code() {
            Code::ResourceExhausted => SendErrorKind::Busy,
            _ => SendErrorKind::Unavailable,
        };
    }
    match status.code() {
        _ if is_answer_too_long(status) => SendErrorKind::Unavailable,
        Code::ResourceExhausted | Code::OutOfRange if says_too_large(status) => SendErrorKind::TooLarge,
        Code::Unknown if status.message().ends_with("HTTP status code 413") => SendErrorKind::TooLarge,
        Code::ResourceExhausted => SendErrorKind::Busy,
        Code::Unknown | Code::Internal if is_from_the_way(status) => SendErrorKind::Unavailable,
        Code::Unknown | Code::Internal | Code::DataLoss => SendErrorKind::Failed,
        Code::Unauthenticated | Code::PermissionDenied => SendErrorKind::Unauthenticated,
        Code::InvalidArgument | Code::OutOfRange | Code::AlreadyExists => SendErrorKind::Refused,
        Code::Ok
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Unimplemented
        | Code::Unavailable => SendErrorKind::Unavailable,
    }
}

/// Whether the transport on our side made this status: then it has a cause, and one that was received has none.
pub(crate) fn is_ours(status: &Status) -> bool {
    status.source().is_some()
}

/// Whether there was no connection on which anything could have been sent.
pub(crate) fn is_not_connected(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// How long the server wants to be left alone: its header, or else the `RetryInfo` among the details of the status.
pub(crate) fn pushback(status: &Status) -> Option<Duration> {
    if let Some(header) = status.metadata().get("grpc-retry-pushback-ms") {
        // A negative number means never, which is not for it to say: nothing is given up here.
        return header.to_str().ok()?.trim().parse().ok().map(Duration::from_millis);
    }
    let details = RichStatus::decode(status.details()).ok()?.details;
    let info = details.iter().find(|detail| detail.type_url.ends_with("/google.rpc.RetryInfo"))?;
    RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?.try_into().ok()
}

/// `google.rpc.Status`, as far as it is read here.
#[derive(Clone, PartialEq, Message)]
struct RichStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<prost_types::Duration>,
}

/// Whether tonic made this status of what a proxy answered, or of an answer that broke off.
fn is_from_the_way(status: &Status) -> bool {
    ["HTTP status code", "missing grpc-status trailer"].iter().any(|sign| status.message().contains(sign))
}

/// Whether the receiver has no use for the compression of the message.
pub(crate) fn says_no_to_compression(status: &Status) -> bool {
    let text = status.message().to_ascii_lowercase();
    status.code() == Code::Unimplemented
        && ["compress", "grpc-encoding", "message encoding"].iter().any(|word| text.contains(word))
}

/// Whether it is the answer that is longer than what is read of one. The batch may well have been taken.
pub(crate) fn is_answer_too_long(status: &Status) -> bool {
    matches!(status.code(), Code::ResourceExhausted | Code::OutOfRange)
        && says_too_large(status)
        && !was_received(status)
}

fn says_too_large(status: &Status) -> bool {
    let text = status.message().to_ascii_lowercase();
    TOO_LARGE.iter().any(|phrase| text.contains(phrase))
}

/// A status in one line: its code, its text, and all that lies behind it.
pub(crate) fn describe(status: &Status) -> String {
    let mut parts = vec![status.message().to_owned()];
    let mut cause = status.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Libraries repeat each other on the way up, and "transport error" is what tonic calls everything.
        if text != "transport error" && !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        cause = error.source();
    }
    parts.retain(|part| !part.is_empty() && part != "transport error");
    if parts.is_empty() {
        parts.push(status.code().description().to_owned());
    }
    format!("{}: {}", name(status.code()), quote(&parts.join(": ")))
}

/// Foreign text for our messages: one line, bounded.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted: String =
        text.chars().take(MAX_QUOTED_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MAX_QUOTED_CHARS).is_some() {
        quoted.push('…');
    }
    quoted
}

/// The code as the gRPC documents spell it, to search for.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use super::*;
    use crate::uplink::guard::RECEIVED;

    #[test]
    fn every_code_has_its_kind() {
        use SendErrorKind::{Busy, Failed, Refused, Unauthenticated, Unavailable};
        let table = [
            (Code::Ok, Unavailable),
            (Code::Cancelled, Unavailable),
            (Code::Unknown, Failed),
            (Code::InvalidArgument, Refused),
            (Code::DeadlineExceeded, Unavailable),
            (Code::NotFound, Unavailable),
            (Code::AlreadyExists, Refused),
            (Code::PermissionDenied, Unauthenticated),
            (Code::ResourceExhausted, Busy),
            (Code::FailedPrecondition, Unavailable),
            (Code::Aborted, Unavailable),
            (Code::OutOfRange, Refused),
            (Code::Unimplemented, Unavailable),
            (Code::Internal, Failed),
            (Code::Unavailable, Unavailable),
            (Code::DataLoss, Failed),
            (Code::Unauthenticated, Unauthenticated),
        ];
        for (number, (code, kind)) in table.into_iter().enumerate() {
            assert_eq!(code as usize, number, "a code is missing");
            assert_eq!(kind_of(&Status::new(code, "something")), kind, "{code:?}");
        }
    }

    #[test]
    fn every_server_s_way_to_say_too_large_is_known() {
        for (code, text) in [
            (Code::ResourceExhausted, "grpc: received message larger than max (4194305 vs. 4194304)"),
            (Code::ResourceExhausted, "grpc: received message after decompression larger than max 4194304"),
            (Code::ResourceExhausted, "SERVER: Received message larger than max (4194305 vs. 4194304)"),
            (Code::ResourceExhausted, "gRPC message exceeds maximum size 4194304: 4194305"),
            (Code::ResourceExhausted, "Received message exceeds the maximum configured message size."),
            (
                Code::OutOfRange,
                "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes",
            ),
            (
                Code::ResourceExhausted,
                "Error decompressing: size limit, of 4 bytes, exceeded while decompressing message",
            ),
            (Code::Unknown, "grpc-status header missing, mapped from HTTP status code 413"),
        ] {
            let mut status = Status::new(code, text);
            if code != Code::Unknown {
                // As tonic says it of an answer.
                assert_eq!(kind_of(&status), SendErrorKind::Unavailable, "{text}");
            }
            status.metadata_mut().insert(RECEIVED, "1".parse().unwrap());
            assert_eq!(kind_of(&status), SendErrorKind::TooLarge, "{text}");
        }
        let proxy = Status::unknown("grpc-status header missing, mapped from HTTP status code 502");
        assert_eq!(kind_of(&proxy), SendErrorKind::Unavailable);
        let rate = Status::resource_exhausted("message rate exceeds the maximum of your plan");
        assert_eq!(kind_of(&rate), SendErrorKind::Busy);
    }

    #[test]
    fn a_status_of_our_own_transport_never_blames_the_batch_or_the_token() {
        for code in [Code::PermissionDenied, Code::InvalidArgument, Code::OutOfRange] {
            let mut status = Status::new(code, "h2 protocol error");
            status.set_source(Arc::new(io::Error::other("inadequate security")));
            assert_eq!(kind_of(&status), SendErrorKind::Unavailable);
        }
    }

    #[test]
    fn a_description_tells_the_whole_chain_once_and_in_one_line() {
        let mut status = Status::unavailable("transport error");
        status.set_source(Arc::new(io::Error::new(io::ErrorKind::NotConnected, "refused\nby peer")));
        assert_eq!(describe(&status), "UNAVAILABLE: refused by peer");

        assert_eq!(describe(&Status::aborted("")), "ABORTED: The operation was aborted");
        let long = describe(&Status::unknown("x".repeat(10_000)));
        assert!(long.len() < 700 && long.ends_with('…'), "{long}");
    }

    #[test]
    fn a_pause_that_the_server_names_is_read_from_header_and_details() {
        let mut status = Status::resource_exhausted("slower");
        assert_eq!(pushback(&status), None);
        let delay = prost_types::Duration { seconds: 3, nanos: 500_000_000 };
        let info = RetryInfo { retry_delay: Some(delay) }.encode_to_vec();
        let any =
            prost_types::Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".into(), value: info };
        let details = RichStatus { details: vec![any] }.encode_to_vec();
        let detailed = Status::with_details(Code::ResourceExhausted, "slower", details.into());
        assert_eq!(pushback(&detailed), Some(Duration::from_millis(3500)));
        status.metadata_mut().insert("grpc-retry-pushback-ms", "1200".parse().unwrap());
        assert_eq!(pushback(&status), Some(Duration::from_millis(1200)));
        status.metadata_mut().insert("grpc-retry-pushback-ms", "-1".parse().unwrap());
        assert_eq!(pushback(&status), None);
        let garbage = Status::with_details(Code::ResourceExhausted, "slower", vec![255_u8; 9].into());
        assert_eq!(pushback(&garbage), None);
    }

    #[test]
    fn a_server_without_the_compression_is_recognised() {
        for text in [
            "Content is compressed with `zstd` which isn't supported",
            "grpc: Decompressor is not installed for grpc-encoding \"gzip\"",
            "Can't find decompressor for zstd",
        ] {
            assert!(says_no_to_compression(&Status::unimplemented(text)), "{text}");
        }
        assert!(!says_no_to_compression(&Status::unimplemented("unknown service rodent.RodentService")));
    }
}
