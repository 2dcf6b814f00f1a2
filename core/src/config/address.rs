//! `host:port` as `bootstrap.servers` and rewritten addresses spell it.

use std::fmt;
use std::sync::Arc;

/// A host, not resolved yet, and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// A name or an IP address; an IPv6 address without its brackets.
    pub host: Arc<str>,
    /// The TCP port.
    pub port: u16,
}

impl Address {
    /// Kafka's usual port, taken where none is given.
    pub const DEFAULT_PORT: u16 = 9092;

    /// Reads `host`, `host:port`, `[v6]:port`, each with `PLAINTEXT://` before it or not.
    ///
    /// # Errors
    /// Says in words what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bare = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("PLAINTEXT") => rest,
            Some((scheme, _)) => return Err(format!("{text:?}: {scheme}:// is set with security.protocol")),
            None => text,
        };
        let (host, port) = match bare.strip_prefix('[') {
            Some(rest) => {
                let (host, tail) = rest.split_once(']').ok_or_else(|| format!("{text:?} has no closing bracket"))?;
                if !tail.is_empty() && !tail.starts_with(':') {
                    return Err(format!("{text:?} has text between the bracket and the port"));
                }
                (host, tail.strip_prefix(':'))
            }
            None if bare.matches(':').count() > 1 => {
                return Err(format!("{text:?}: an IPv6 address goes into brackets, as in [::1]:9092"));
            }
            None => match bare.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (bare, None),
            },
        };
        if host.is_empty() {
            return Err(format!("{text:?} has no host"));
        }
        if let Some(bad) = host.chars().find(|c| c.is_whitespace() || c.is_control() || "/\\[]@?#,".contains(*c)) {
            return Err(format!("{text:?} has {bad:?} in its host"));
        }
        let port = match port {
            None => Self::DEFAULT_PORT,
            Some(digits) => match digits.parse() {
                Ok(port) if port > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => port,
                _ => return Err(format!("{text:?} has no port between 1 and 65535")),
            },
        };
        Ok(Self { host: host.into(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        Address::parse(text).map_or_else(|e| format!("error: {e}"), |a| format!("{} {}", a.host, a.port))
    }

    #[test]
    fn names_and_addresses_are_read_in_every_form() {
        assert_eq!(parsed("a:9093"), "a 9093");
        assert_eq!(parsed("kafka"), "kafka 9092");
        assert_eq!(parsed("10.0.0.1:1"), "10.0.0.1 1");
        assert_eq!(parsed("[::1]:9092"), "::1 9092");
        assert_eq!(parsed("[fe80::1%eth0]"), "fe80::1%eth0 9092");
        assert_eq!(parsed("plaintext://a:1"), "a 1");
        assert_eq!(Address::parse("[::1]:7").map(|a| a.to_string()), Ok("[::1]:7".into()));
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_reason() {
        for text in
            ["", ":9092", "a:", "a:0", "a:65536", "a:+1", "::1", "[::1", "[::1]x", "a b:1", "SSL://a:1", "a/b:1"]
        {
            assert!(parsed(text).starts_with("error: "), "{text:?} gave {}", parsed(text));
        }
    }
}
