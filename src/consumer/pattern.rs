//! Topics chosen by their names.

use crate::{Error, ErrorKind, Result};
use klamm_core::client::TopicChooser;
use regex_lite::Regex;
use std::fmt;

/// Which topics a consumer reads, by their names: for [`Consumer::subscribe_pattern`](crate::Consumer::subscribe_pattern).
///
/// A pattern fits a name if it fits the whole of it, as in Java: `orders` fits `orders` only, `orders.*` fits `orders-eu`
/// too. The syntax is that of the crate `regex`: Java's without look-around and back-references, and safe against patterns
/// that take for ever.
///
/// ```
/// # fn main() -> klamm::Result<()> {
/// let pattern = klamm::Pattern::client(r"metrics\..*")?.except(r".*\.debug")?;
/// assert!(pattern.fits("metrics.cpu") && !pattern.fits("metrics.cpu.debug") && !pattern.fits("old-metrics.cpu"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[doc(alias = "java.util.regex.Pattern")]
pub struct Pattern {
    fits: Regex,
    except: Vec<Regex>,
}

impl Pattern {
    /// A regular expression that this client compares with the names of all topics.
    ///
    /// # Errors
    /// `Config` if it is none, with the place.
    pub fn client(expression: &str) -> Result<Self> {
        Ok(Self { fits: whole(expression)?, except: Vec::new() })
    }

    /// The same without the topics whose names this expression fits.
    ///
    /// # Errors
    /// `Config` if it is no regular expression, with the place.
    pub fn except(mut self, expression: &str) -> Result<Self> {
        self.except.push(whole(expression)?);
        Ok(self)
    }

    /// Whether it fits a name.
    pub fn fits(&self, topic: &str) -> bool {
        self.fits.is_match(topic) && !self.except.iter().any(|except| except.is_match(topic))
    }

    pub(super) fn chooser(self) -> TopicChooser {
        TopicChooser::new(move |topic| self.fits(topic))
    }
}

/// The expression for whole names. It is read by itself first, so that an error names its own place, and a bracket too many
/// does not reach out of the group.
fn whole(expression: &str) -> Result<Regex> {
    let refused = |error: regex_lite::Error| {
        Error::new(ErrorKind::Config, format!("{expression:?} is no regular expression: {error}"))
            .with_hint("look-around and back-references are not supported")
    };
    Regex::new(expression).map_err(refused)?;
    Regex::new(&format!(r"\A(?:{expression})\z")).map_err(refused)
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pattern").field("fits", &self.fits).field("except", &self.except).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_whole_names_as_in_java() {
        let fits = |expression: &str, topic: &str| Pattern::client(expression).unwrap().fits(topic);
        for (expression, topic, expected) in [
            ("orders", "orders", true),
            ("orders", "orders-eu", false),
            ("orders", "my-orders", false),
            ("^orders$", "orders", true),
            ("orders.*", "orders-eu", true),
            ("a|b", "b", true),
            ("a|b", "ab", false),
            ("a|b", "bc", false),
            ("(?i)Orders", "oRDERS", true),
            (r"t\.[0-9]{2}", "t.07", true),
            (".*", "", true),
        ] {
            assert_eq!(fits(expression, topic), expected, "{expression} on {topic}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused_with_its_text() {
        for expression in ["(", "a)|(b", "[", "(?=x)", r"\1", "*"] {
            let error = Pattern::client(expression).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().starts_with(&format!("{expression:?} is no regular expression: ")), "{error}");
        }
    }
}
