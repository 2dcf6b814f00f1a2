//! SaslHandshake: choosing the SASL mechanism.

use crate::error::ErrorCode;

messages! {
    /// Request: choosing the SASL mechanism.
    request SaslHandshakeRequest(17 -> SaslHandshakeResponse) versions 0..=1 {
        /// The SASL mechanism to use.
        0.. => mechanism: String;
    }

    /// Response: choosing the SASL mechanism.
    response SaslHandshakeResponse versions 0..=1 {
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// The SASL mechanisms that the broker offers.
        0.. => mechanisms: Vec<String>;
    }
}
