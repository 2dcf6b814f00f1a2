//! Kafka's message schemas, out of the official client's jar.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The version of Kafka whose schemas are the measure.
pub const KAFKA: &str = "4.4.0";

const PATIENCE: Duration = Duration::from_secs(180);

/// Every schema of the jar by name. `None`, with an explanation on stderr, where the jar cannot be had; with
/// `CI=true` that is a failure.
///
/// # Panics
/// In CI, if the jar cannot be had; anywhere, if it is not what it should be.
pub fn schemas(test: &str) -> Option<BTreeMap<String, Value>> {
    match artifact("org.apache.kafka", "kafka-clients", KAFKA) {
        Ok(path) => Some(read(&path)),
        Err(why) => {
            skipped(test, &why);
            None
        }
    }
}

/// Tells that a test cannot run here.
///
/// # Panics
/// In CI, where every test must run.
pub fn skipped(test: &str, why: &str) {
    assert!(std::env::var_os("CI").is_none_or(|v| v != "true"), "{test} must not be skipped in CI: {why}");
    // Not `eprintln!`: the test harness swallows that of tests that pass.
    let told = writeln!(
        std::io::stderr(),
        "SKIPPED {test}: {why}\n  To enable it: install Java 17 and Maven (`mvn`) with access to Maven Central, or set \
         KLAMM_KAFKA_CLIENTS_JAR\n  to the path of kafka-clients-{KAFKA}.jar."
    );
    told.expect("stderr is there");
}

/// A jar of Maven Central, kept under `target/`.
///
/// # Errors
/// Says why it cannot be had.
pub fn artifact(group: &str, name: &str, version: &str) -> Result<PathBuf, String> {
    if let Some(path) =
        std::env::var_os("KLAMM_KAFKA_CLIENTS_JAR").filter(|_| (name, version) == ("kafka-clients", KAFKA))
    {
        return Ok(path.into());
    }
    let file = format!("{name}-{version}.jar");
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/kafka");
    let path = target.join(&file);
    if path.exists() {
        return Ok(path);
    }
    // Tests that run side by side must not see each other's half of a jar.
    let part = target.join(format!("part-{}-{:?}", std::process::id(), std::thread::current().id()));
    fs::create_dir_all(&part).map_err(|e| format!("cannot create {}: {e}", part.display()))?;
    let copied = copy(&format!("{group}:{name}:{version}"), &part)
        .and_then(|()| fs::rename(part.join(&file), &path).map_err(|e| format!("no {file}: {e}")));
    let removed = fs::remove_dir_all(&part).map_err(|e| format!("cannot remove {}: {e}", part.display()));
    copied.and(removed).map(|()| path)
}

fn copy(artifact: &str, into: &Path) -> Result<(), String> {
    let mut mvn = Command::new("mvn")
        .args(["-B", "-q", "dependency:copy"])
        .arg(format!("-Dartifact={artifact}"))
        .arg(format!("-DoutputDirectory={}", into.display()))
        .current_dir(into)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("mvn does not start: {e}"))?;
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        match mvn.try_wait() {
            Ok(None) => sleep(Duration::from_millis(50)),
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("mvn dependency:copy failed: {status}")),
            Err(e) => return Err(format!("mvn is lost: {e}")),
        }
    }
    let killed = mvn.kill().and_then(|()| mvn.wait());
    Err(format!("mvn dependency:copy did not end within {PATIENCE:?}, stopped: {killed:?}"))
}

fn read(path: &Path) -> BTreeMap<String, Value> {
    let file = File::open(path).unwrap_or_else(|e| panic!("cannot open {}: {e}", path.display()));
    let mut jar = zip::ZipArchive::new(file).unwrap_or_else(|e| panic!("{} is no jar: {e}", path.display()));
    let mut schemas = BTreeMap::new();
    for i in 0..jar.len() {
        let mut entry = jar.by_index(i).unwrap_or_else(|e| panic!("entry {i} of {}: {e}", path.display()));
        let name = entry.name().strip_prefix("common/message/").and_then(|n| n.strip_suffix(".json"));
        let Some(name) = name.map(str::to_owned) else { continue };
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let schema = serde_json::from_str(&without_comments(&text)).unwrap_or_else(|e| panic!("{name}: {e}"));
        schemas.insert(name, schema);
    }
    assert!(schemas.len() > 150, "{} has only {} schemas", path.display(), schemas.len());
    schemas
}

/// Kafka's schemas are JSON with `//` comments to the end of the line.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let (mut quoted, mut escaped, mut end) = (false, false, line.len());
        for (i, c) in line.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                '/' if !quoted && line[i..].starts_with("//") => {
                    end = i;
                    break;
                }
                _ => {}
            }
        }
        out.push_str(&line[..end]);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_strings_stay() {
        assert_eq!(without_comments("{ // x\n\"a//b\": \"\\\"//\" } // y"), "{ \n\"a//b\": \"\\\"//\" } \n");
    }
}
