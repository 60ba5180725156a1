//! What an error of a client says of the log.

use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode};

/// Whether an error says that bytes are not what was written, or not what can be read here: asking again does not
/// help.
pub fn is_damage(error: &Native) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::BadMessage
                | Code::BadCompression
                | Code::NotImplemented
                | Code::InvalidMessage
                | Code::InvalidMessageSize
                | Code::MessageSizeTooLarge
        )
    )
}

/// Whether an error says that the log does not hold what was to be read next.
pub fn is_lost(error: &Native) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(error.rdkafka_error_code(), Some(Code::AutoOffsetReset | Code::OffsetOutOfRange))
}
