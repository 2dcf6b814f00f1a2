//! What a machine must have for a test, and how a test says that it is not there.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Something that a test needs and the machine lacks: such a test is skipped by name, and failed where `CI=true` unless
/// it is optional.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what}: {how}")]
pub struct Missing {
    /// What is not there.
    pub what: String,
    /// How to get it.
    pub how: String,
    /// Whether CI does without it too.
    pub optional: bool,
}

impl Missing {
    /// Something missing, and how to get it.
    pub fn new(what: impl Into<String>, how: impl Into<String>) -> Self {
        Self { what: what.into(), how: how.into(), optional: false }
    }
}

impl Missing {
    /// Whether this is a failure instead of a skipped test.
    pub fn is_failure(&self) -> bool {
        !self.optional && env::var("CI").is_ok_and(|ci| ci == "true" || ci == "1")
    }
}

/// Java 17 or later: Kafka 4 needs it, and the peers are compiled.
pub fn java() -> Result<(), Missing> {
    static FOUND: OnceLock<Result<(), Missing>> = OnceLock::new();
    let find = || match major_version_of_java() {
        Some(major) if major >= 17 => Ok(()),
        Some(major) => Err(Missing::new(format!("java is version {major}"), "put a JDK of 17 or later first on PATH")),
        None => Err(Missing::new("no java on PATH", "install a JDK of 17 or later")),
    };
    FOUND.get_or_init(find).clone()
}

/// Maven, which resolves Kafka's jars.
pub fn maven() -> Result<(), Missing> {
    static FOUND: OnceLock<Result<(), Missing>> = OnceLock::new();
    let find = || match on_path("mvn") {
        Some(_) => Ok(()),
        None => Err(Missing::new("no mvn on PATH", "install Apache Maven 3.6 or later")),
    };
    FOUND.get_or_init(find).clone()
}

/// librdkafka's command line client, an independent peer.
pub fn kcat() -> Result<PathBuf, Missing> {
    let found = ["kcat", "kafkacat"].into_iter().find_map(on_path);
    found.ok_or_else(|| Missing { optional: true, ..Missing::new("no kcat on PATH", "install the package kcat") })
}

fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(program)).find(|file| file.is_file())
}

fn major_version_of_java() -> Option<u32> {
    let output = Command::new("java").arg("-version").stdin(Stdio::null()).output().ok()?;
    parse_java_version(&String::from_utf8_lossy(&output.stderr))
}

/// `openjdk version "17.0.15"` is 17, and `"1.8.0_392"` is 8.
fn parse_java_version(text: &str) -> Option<u32> {
    let version = text.split('"').nth(1)?;
    let mut numbers = version.split(['.', '-', '_', '+']).map(|part| part.parse::<u32>());
    match numbers.next()?.ok()? {
        1 => numbers.next()?.ok(),
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_names_its_version_in_two_styles() {
        assert_eq!(parse_java_version("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK"), Some(17));
        assert_eq!(parse_java_version("java version \"1.8.0_392\""), Some(8));
        assert_eq!(parse_java_version("openjdk version \"25-ea\" 2025-09-16"), Some(25));
        assert_eq!(parse_java_version("command not found"), None);
    }
}
