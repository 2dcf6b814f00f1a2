//! What an error says in one line, and what caused it.

use super::Error;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// What caused an error.
#[derive(Clone, Debug)]
pub(super) enum Cause {
    /// An error of klamm.
    Own(Error),
    /// An error of the application's own code, or of a library.
    Foreign(Arc<dyn StdError + Send + Sync>),
}

impl Error {
    /// What caused it: an `Error` of klamm, or what the application's serializer or other plug-in gave, to be had by
    /// `downcast_ref`. The text of this error says it already.
    pub fn cause(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        match self.0.cause.as_ref()? {
            Cause::Own(error) => Some(error),
            Cause::Foreign(error) => Some(&**error),
        }
    }

    fn own_cause(&self) -> Option<&Self> {
        match self.0.cause.as_ref()? {
            Cause::Own(error) => Some(error),
            Cause::Foreign(_) => None,
        }
    }

    /// It and its causes of klamm, the last of them first.
    fn hints(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cause) = self.own_cause() {
            cause.hints(f)?;
        }
        match &self.0.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)?;
        let mut last = self;
        while let Some(cause) = last.own_cause() {
            write!(f, ": {}", cause.0.text)?;
            last = cause;
        }
        if let Some(Cause::Foreign(error)) = &last.0.cause {
            write!(f, ": {error}")?;
        }
        if self.0.possibly_written {
            f.write_str("; it may have been written")?;
        }
        self.hints(f)
    }
}

impl StdError for Error {
    /// What caused the last cause that the text names (so does [`std::io::Error`]).
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.0.cause.as_ref()? {
            Cause::Own(error) => error.source(),
            Cause::Foreign(error) => error.source(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);
    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }
    impl StdError for Layer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            self.1.as_deref().map(|e| e as _)
        }
    }

    /// As anyhow's `{:#}` and every reporter of chains does.
    fn told(error: &Error) -> String {
        let mut text = error.to_string();
        let mut next = error.source();
        while let Some(error) = next {
            text += &format!(": {error}");
            next = error.source();
        }
        text
    }

    #[test]
    fn a_chain_of_klamms_own_errors_is_one_line_and_told_once() {
        let first = Error::new(ErrorKind::Connect, "broker 1 closed the connection").with_hint("it may expect TLS");
        let then = Error::new(ErrorKind::Timeout, "no answer to Produce").with_source(first);
        let error = Error::new(ErrorKind::NotDelivered, "record for t-0 not acknowledged")
            .with_source(then)
            .with_possibly_written(true)
            .with_hint("send it again");
        let line = "record for t-0 not acknowledged: no answer to Produce: broker 1 closed the connection; it may have been \
                    written; it may expect TLS; send it again";
        assert_eq!(error.to_string(), line);
        assert_eq!(told(&error), line);
        let cause = error.cause().unwrap() as &(dyn StdError + 'static);
        assert_eq!(cause.downcast_ref::<Error>().map(Error::kind), Some(ErrorKind::Timeout));
    }

    #[test]
    fn a_foreign_error_is_named_and_its_own_causes_follow_as_sources() {
        let foreign = Layer("no such schema", Some(Box::new(Layer("404", None))));
        let error = Error::new(ErrorKind::Serialize, "the value has no bytes").with_foreign_source(Box::new(foreign));
        assert_eq!(error.to_string(), "the value has no bytes: no such schema");
        assert_eq!(told(&error), "the value has no bytes: no such schema: 404");
        let cause = error.cause().unwrap() as &(dyn StdError + 'static);
        assert_eq!(cause.downcast_ref::<Layer>().map(|l| l.0), Some("no such schema"));
        let outer = Error::new(ErrorKind::NotDelivered, "record for t-0 not sent").with_source(error);
        assert_eq!(told(&outer), "record for t-0 not sent: the value has no bytes: no such schema: 404");
    }
}
