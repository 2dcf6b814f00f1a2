//! Kafka's jars: resolved once by Maven, then found on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::folders::{self, Lock};
use crate::need::{self, Missing};
use crate::process;
use crate::version::{Artifact, Version};

/// How long Maven may take for one class path: 45 MB from a slow mirror.
const LIMIT: Duration = Duration::from_secs(300);

/// The folder with a version's broker, its client and all that they need. Resolves it when it is not there yet.
///
/// # Errors
/// [`Missing`] where Maven is not installed or its registry does not answer.
pub fn of(version: Version) -> Result<PathBuf> {
    let dir = folders::jars(version.number());
    if dir.is_dir() {
        return Ok(dir);
    }
    let _one_at_a_time = Lock::wait(&beside(&dir, ".lock"))?;
    if !dir.is_dir() {
        need::maven()?;
        resolve(&dir, version.artifacts())?;
    }
    Ok(dir)
}

/// Every jar of a folder, as Java's `-cp` takes it.
pub(crate) fn class_path(dir: &Path) -> String {
    format!("{}/*", dir.display())
}

fn resolve(dir: &Path, artifacts: &[Artifact]) -> Result<()> {
    let (part, pom) = (beside(dir, ".part"), beside(dir, ".pom.xml"));
    // An interrupted run may have left a half: only a whole folder gets the final name.
    if part.exists() {
        fs::remove_dir_all(&part)?;
    }
    fs::write(&pom, project(artifacts))?;
    let mut command = Command::new("mvn");
    command.args(["-B", "-q", "-f"]).arg(&pom).args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
    command.arg(format!("-DoutputDirectory={}", part.display()));
    if let Err(error) = process::run(command, String::new(), "mvn", LIMIT) {
        let text = error.to_string();
        let why = text.lines().find(|line| line.contains("ERROR")).or(text.lines().next()).unwrap_or_default();
        return Err(Missing::new(format!("mvn resolved no jars ({why})"), "let mvn reach its registry once").into());
    }
    if !part.is_dir() {
        bail!("mvn ended well but wrote no jars to {}", part.display());
    }
    fs::rename(&part, dir).with_context(|| format!("cannot rename {} to {}", part.display(), dir.display()))
}

/// Not `with_extension`: a version ends in something that looks like one.
fn beside(dir: &Path, suffix: &str) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn project(artifacts: &[Artifact]) -> String {
    let dependency = |(group, name, version): &Artifact| {
        format!(
            "    <dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>\n"
        )
    };
    let dependencies: String = artifacts.iter().map(dependency).collect();
    format!(
        "<project>\n  <modelVersion>4.0.0</modelVersion>\n  <groupId>klamm.live</groupId>\n  <artifactId>jars</artifactId>\n  \
         <version>1</version>\n  <packaging>pom</packaging>\n  <dependencies>\n{dependencies}  </dependencies>\n</project>\n"
    )
}
