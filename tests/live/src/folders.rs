//! Where things lie on disk: everything below the workspace's target folder, so that `cargo clean` removes it all.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};

/// `target/kafka` of this workspace, as an absolute path.
pub(crate) fn home() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let workspace = workspace_of(&package);
    let target = match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => workspace.join(dir),
        None => workspace.join("target"),
    };
    target.join("kafka")
}

/// The jars of one class path.
pub(crate) fn jars(class_path: &str) -> PathBuf {
    home().join("jars").join(class_path)
}

/// The folder that holds one folder per running (or crashed) cluster.
pub(crate) fn runs() -> PathBuf {
    home().join("runs")
}

/// How the Java programs log.
pub(crate) fn logging() -> PathBuf {
    home().join("logging")
}

/// The Java programs that act as the official client.
pub(crate) fn peers() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    workspace_of(&package).join("tests/live/java")
}

/// The nearest folder above whose `Cargo.toml` declares a workspace: other packages may use this harness too.
fn workspace_of(package: &Path) -> PathBuf {
    let declares = |dir: &&Path| {
        fs::read_to_string(dir.join("Cargo.toml"))
            .is_ok_and(|text| text.lines().any(|line| line.trim() == "[workspace]"))
    };
    package.ancestors().find(declares).unwrap_or(package).to_path_buf()
}

/// A lock between processes that the kernel lets go of when its holder dies, however it dies.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held for its lock")] File);

impl Lock {
    /// Waits until nobody else holds `path`.
    pub(crate) fn wait(path: &Path) -> Result<Self> {
        let file = open(path)?;
        flock(&file, FlockOperation::LockExclusive).with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Self(file))
    }

    /// The lock, or nothing while another process holds it.
    pub(crate) fn now(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        Ok(flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok().then_some(Self(file)))
    }
}

fn open(path: &Path) -> Result<File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_lies_below_the_target_folder_of_the_workspace() {
        let home = home();
        assert!(home.is_absolute());
        assert!(home.ends_with("kafka"));
        assert!(peers().join("Produce.java").is_file());
    }

    #[test]
    fn a_lock_has_one_holder_and_ends_with_it() {
        let path = home().join(format!("lock-test-{}", std::process::id()));
        let held = Lock::now(&path).unwrap();
        assert!(held.is_some());
        assert!(Lock::now(&path).unwrap().is_none());
        drop(held);
        assert!(Lock::now(&path).unwrap().is_some());
        fs::remove_file(path).unwrap();
    }
}
