//! The Java programs, compiled: once for each version, because a launcher that compiles takes longer than what it starts.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::folders::{self, Lock};
use crate::version::Version;
use crate::{jars, process};

/// How long a compiler may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// The folder with the classes of one of our Java programs, made for a version's jars.
pub(crate) fn of(version: Version, program: &str) -> Result<PathBuf> {
    let source = folders::peers().join(program).with_extension("java");
    let text = fs::read(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let name = format!("{program}-{:016x}", hasher.finish());
    let dir = folders::home().join("classes").join(version.number()).join(name);
    if dir.is_dir() {
        return Ok(dir);
    }
    let _one_at_a_time = Lock::wait(&dir.with_extension("lock"))?;
    if !dir.is_dir() {
        compile(version, &source, &dir)?;
    }
    Ok(dir)
}

fn compile(version: Version, source: &Path, dir: &Path) -> Result<()> {
    // An interrupted run may have left a half: only a whole folder gets the final name.
    let part = dir.with_extension("part");
    if part.exists() {
        fs::remove_dir_all(&part)?;
    }
    let mut command = Command::new("javac");
    command.args(["-J-XX:TieredStopAtLevel=1", "-proc:none", "-nowarn", "-cp"]);
    command.arg(jars::class_path(&jars::of(version)?)).arg("-d").arg(&part).arg(source);
    process::run(command, String::new(), "javac", LIMIT)?;
    fs::rename(&part, dir).with_context(|| format!("cannot rename {} to {}", part.display(), dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::need::Missing;

    #[test]
    fn a_program_is_compiled_once() -> Result<()> {
        if let Err(error) = jars::of(Version::V2_1_1) {
            let skipped = error.downcast_ref::<Missing>().is_some_and(|missing| !missing.is_failure());
            return if skipped { Ok(()) } else { Err(error) };
        }
        let dir = of(Version::V2_1_1, "Produce")?;
        let time = || fs::metadata(dir.join("Produce.class")).and_then(|data| data.modified());
        let first = time()?;
        assert_eq!(of(Version::V2_1_1, "Produce")?, dir);
        assert_eq!(time()?, first);
        Ok(())
    }
}
