//! SaslAuthenticate: one step of a SASL exchange.

use crate::error::ErrorCode;
use bytes::Bytes;

messages! {
    /// Request: one step of a SASL exchange.
    request SaslAuthenticateRequest(36 -> SaslAuthenticateResponse) versions 0..=2 flexible 2.. {
        /// The mechanism's own message.
        0.. => auth_bytes: Bytes;
    }

    /// Response: one step of a SASL exchange.
    response SaslAuthenticateResponse versions 0..=2 flexible 2.. {
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// What went wrong, in words.
        0.. => error_message: Option<String>;
        /// The mechanism's own message.
        0.. => auth_bytes: Bytes;
        /// After how many milliseconds the client must authenticate again, 0 for never.
        1.. => session_lifetime_ms: i64, ignorable;
    }
}
