//! What was set, by which name, and where.

use super::{Key, Secret, keys};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where a setting was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nowhere: the default counts.
    #[default]
    Default,
    /// In the program.
    Code,
    /// On this line of a file.
    File {
        /// The file's name as it was given; empty for a text without a name.
        name: Arc<str>,
        /// Counted from 1.
        line: u32,
    },
    /// In this variable of the environment.
    Env(Arc<str>),
    /// By a rule between settings, for this reason.
    Rule(Arc<str>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Code => f.write_str("code"),
            Self::File { name, line } if name.is_empty() => write!(f, "line {line}"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Env(name) => write!(f, "env {name}"),
            Self::Rule(why) => write!(f, "because {why}"),
        }
    }
}

/// One line of [`settings`](super::builder::Config::settings): a key, its value as it takes effect, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// The part of the client that it is for.
    pub section: super::Section,
    /// The key's name in Java's properties.
    pub key: &'static str,
    /// The value; `***` for secrets.
    pub value: String,
    /// Where it was set.
    pub origin: Origin,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={} ({}, {})", self.key, self.value, self.section.name(), self.origin)
    }
}

/// Something that is wrong, or worth knowing, about one setting or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What, in words.
    pub text: String,
    /// Where it was set.
    pub origin: Origin,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Default | Origin::Code | Origin::Rule(_) => f.write_str(&self.text),
            place => write!(f, "{} ({place})", self.text),
        }
    }
}

/// All that validation found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What makes the configuration unusable.
    pub errors: Vec<Problem>,
    /// What is probably not meant; to be logged as warnings.
    pub warnings: Vec<Problem>,
    /// What is only worth a line of debug logging.
    pub notes: Vec<Problem>,
    /// Values that a rule changed: section, key, value, reason.
    pub(super) ruled: Vec<(super::Section, &'static str, String, Arc<str>)>,
}

impl Report {
    pub(super) fn error(&mut self, text: impl Into<String>, origin: &Origin) {
        push(&mut self.errors, text.into(), origin);
    }
    pub(super) fn warning(&mut self, text: impl Into<String>, origin: &Origin) {
        push(&mut self.warnings, text.into(), origin);
    }
    pub(super) fn note(&mut self, text: impl Into<String>, origin: &Origin) {
        push(&mut self.notes, text.into(), origin);
    }

    pub(super) fn extend(&mut self, other: &Self) {
        for (to, from) in
            [(&mut self.errors, &other.errors), (&mut self.warnings, &other.warnings), (&mut self.notes, &other.notes)]
        {
            for problem in from {
                push(to, problem.text.clone(), &problem.origin);
            }
        }
        self.ruled.extend(other.ruled.iter().cloned());
    }

    /// Nothing, or one error that names all problems.
    ///
    /// # Errors
    /// `ErrorKind::Config` if there are any errors.
    pub fn into_result(self) -> Result<(), crate::Error> {
        let text = match &self.errors[..] {
            [] => return Ok(()),
            [one] => one.to_string(),
            all => {
                let all: Vec<_> = all.iter().map(Problem::to_string).collect();
                format!("{} problems: {}", all.len(), all.join("; "))
            }
        };
        Err(crate::Error::new(crate::ErrorKind::Config, text))
    }
}

fn push(list: &mut Vec<Problem>, text: String, origin: &Origin) {
    let problem = Problem { text, origin: origin.clone() };
    if !list.contains(&problem) {
        list.push(problem);
    }
}

/// A value that was set.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Entry {
    text: Text,
    pub(super) origin: Origin,
    /// The name that it was set by.
    pub(super) given: Arc<str>,
}

#[derive(Clone, PartialEq, Eq)]
enum Text {
    Plain(String),
    Secret(Secret),
}

impl Entry {
    /// The value itself, secret or not.
    pub(super) fn text(&self) -> &str {
        match &self.text {
            Text::Plain(text) => text,
            Text::Secret(secret) => secret.expose(),
        }
    }
    /// The value as people may see it.
    pub(super) fn shown(&self) -> &str {
        match &self.text {
            Text::Plain(text) => text,
            Text::Secret(_) => "***",
        }
    }
    /// `key=value` under the name that it was set by.
    pub(super) fn pair(&self) -> String {
        format!("{}={}", self.given, self.shown())
    }
}

/// The settings of one section, by the key's own name.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Entries {
    map: BTreeMap<&'static str, Entry>,
    /// What was wrong already when it was set.
    pub(super) early: Report,
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(key, entry)| (key, entry.shown()))).finish()
    }
}

impl Entries {
    /// Sets a key; the value is translated if `given` is one of the key's aliases.
    pub(super) fn put(&mut self, key: &'static Key, given: &str, value: &str, origin: Origin) {
        let value = keys::translate(key, given, value);
        let text = if key.is_secret() { Text::Secret(Secret::from(value)) } else { Text::Plain(value) };
        self.map.insert(key.name, Entry { text, origin, given: given.into() });
    }
    pub(super) fn remove(&mut self, name: &str) {
        self.map.remove(name);
    }
    pub(super) fn get(&self, name: &str) -> Option<&Entry> {
        self.map.get(name)
    }
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &Entry)> {
        self.map.iter().map(|(name, entry)| (*name, entry))
    }
    /// Takes over what `other` sets; it wins.
    pub(super) fn merge(&mut self, other: &Self) {
        self.map.extend(other.map.iter().map(|(name, entry)| (*name, entry.clone())));
        self.early.extend(&other.early);
    }
}
