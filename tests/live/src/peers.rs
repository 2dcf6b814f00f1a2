//! Other clients to talk with: the official Java client of any of our versions, and kcat if it is installed.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::process;
use crate::record::Record;
use crate::version::Version;
use crate::{classes, folders, jars, need, settings};

/// How long a Java program may take, its start included.
const LIMIT: Duration = Duration::from_secs(90);

/// The official client of one version.
#[derive(Clone, Debug)]
pub struct Java {
    version: Version,
    bootstrap: String,
}

/// What a [`Member`] reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// These partitions are its own now.
    Assigned(Vec<(String, i32)>),
    /// These are no longer.
    Revoked(Vec<(String, i32)>),
    /// It read this, and committed it afterwards.
    Record(Record),
    /// It left the group.
    Closed,
}

impl Java {
    /// A client of this version for the cluster at `bootstrap`.
    ///
    /// # Errors
    /// [`need::Missing`] where Java or the jars cannot be had.
    pub fn new(version: Version, bootstrap: impl Into<String>) -> Result<Self> {
        need::java()?;
        jars::of(version)?;
        settings::write_logging(&folders::logging())?;
        Ok(Self { version, bootstrap: bootstrap.into() })
    }

    /// Writes records with `acks=all`, and gives them back with partition, offset and timestamp as written.
    pub fn produce(&self, records: &[Record], settings: &[&str]) -> Result<Vec<Record>> {
        let mut command = self.program("Produce")?;
        command.args(settings);
        let line = |record: &Record| {
            let codec = record.codec.as_deref().unwrap_or("none");
            format!("{}\n", record.clone().codec(codec))
        };
        let text = process::run(command, records.iter().map(line).collect(), "Produce", LIMIT)?;
        let written = parse(&text)?;
        ensure!(written.len() == records.len(), "Produce.java wrote {} of {} records", written.len(), records.len());
        Ok(written)
    }

    /// Reads a topic from its beginning: at least `count` records, and then on to its present end.
    pub fn consume(&self, topic: &str, count: usize, settings: &[&str]) -> Result<Vec<Record>> {
        let mut command = self.program("Consume")?;
        command.args([topic, &count.to_string(), &(LIMIT.as_secs() - 30).to_string()]).args(settings);
        parse(&process::run(command, String::new(), "Consume", LIMIT)?)
    }

    /// Lets a transactional producer do what these lines say (see `Transact.java`), and gives what it printed.
    pub fn transact(&self, id: &str, lines: &[String], settings: &[&str]) -> Result<String> {
        let mut command = self.program("Transact")?;
        command.arg(id).args(settings);
        process::run(command, lines.join("\n") + "\n", "Transact", LIMIT)
    }

    /// Sets a feature of the cluster to a level (`transaction.version`: 1 is the protocol before KIP-890).
    pub fn set_feature(&self, name: &str, level: i16) -> Result<()> {
        let mut command = self.program("Feature")?;
        command.args([name, &level.to_string()]);
        process::run(command, String::new(), "Feature.java", LIMIT).map(drop)
    }

    /// Joins a group, with the range assignor unless `settings` says otherwise.
    pub fn join(&self, group: &str, topics: &[&str], settings: &[&str]) -> Result<Member> {
        let mut command = self.program("GroupMember")?;
        command.args([group, &topics.join(",")]).args(settings);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().context("cannot start GroupMember.java")?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("GroupMember.java has no stdout")?;
        let (sender, heard) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Member { child, stdin, heard })
    }

    /// `java -cp CLASSES:JARS PROGRAM BOOTSTRAP`.
    fn program(&self, program: &str) -> Result<Command> {
        let classes = classes::of(self.version, program)?;
        let class_path = format!("{}:{}", classes.display(), jars::class_path(&jars::of(self.version)?));
        let mut command = Command::new("java");
        command.args(settings::java_options(&folders::logging(), "256m")).args(["-cp", &class_path]);
        command.args([program, &self.bootstrap]);
        Ok(command)
    }
}

/// An official consumer in a group. Leaves when closed or dropped.
#[derive(Debug)]
pub struct Member {
    child: Child,
    stdin: Option<ChildStdin>,
    heard: Receiver<String>,
}

impl Member {
    /// The next thing that it reports, within `limit`.
    pub fn next(&mut self, limit: Duration) -> Result<Heard> {
        match self.heard.recv_timeout(limit) {
            Ok(line) => parse_heard(&line),
            Err(RecvTimeoutError::Timeout) => bail!("the Java member reported nothing within {limit:?}"),
            Err(RecvTimeoutError::Disconnected) => bail!("the Java member ended by itself"),
        }
    }

    /// Waits for a report that `wanted` accepts, and gives what it made of it; other reports are passed over.
    pub fn wait_for<T>(&mut self, limit: Duration, mut wanted: impl FnMut(Heard) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(found) = wanted(self.next(deadline.saturating_duration_since(Instant::now()))?) {
                return Ok(found);
            }
        }
    }

    /// Waits until exactly these partitions of a topic are assigned to it.
    pub fn wait_for_partitions(&mut self, topic: &str, partitions: &[i32], limit: Duration) -> Result<()> {
        let expected: Vec<(String, i32)> = partitions.iter().map(|index| (topic.to_owned(), *index)).collect();
        self.wait_for(limit, |heard| (heard == Heard::Assigned(expected.clone())).then_some(()))
            .with_context(|| format!("waiting for {topic} {partitions:?}"))
    }

    /// Leaves the group in good order.
    pub fn close(mut self) -> Result<()> {
        drop(self.stdin.take());
        self.wait_for(Duration::from_secs(20), |heard| (heard == Heard::Closed).then_some(()))?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the Java member failed ({status})");
        Ok(())
    }

    /// SIGKILL: it leaves without a word, and its session has to run out.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// kcat: librdkafka, an independent client.
#[derive(Debug)]
pub struct Kcat {
    bootstrap: String,
}

impl Kcat {
    /// kcat for the cluster at `bootstrap`.
    ///
    /// # Errors
    /// [`need::Missing`] where it is not installed.
    pub fn new(bootstrap: impl Into<String>) -> Result<Self> {
        need::kcat()?;
        Ok(Self { bootstrap: bootstrap.into() })
    }

    /// Runs kcat with these arguments and this stdin, and gives its stdout.
    pub fn run(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut command = Command::new(need::kcat()?);
        command.args(["-b", &self.bootstrap]).args(arguments);
        process::run(command, input.to_owned(), "kcat", LIMIT)
    }

    /// librdkafka's mock cluster of so many brokers, inside a kcat that has nothing else to do.
    pub fn mock(&self, brokers: usize) -> Result<Mock> {
        let mut command = Command::new(need::kcat()?);
        command.args(["-b", "mock", "-C", "-t", "idle", "-X", &format!("test.mock.num.brokers={brokers}")]);
        command.args(["-d", "mock", "-o", "end"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut mock = Mock { child: command.spawn().context("cannot start kcat")?, bootstrap: String::new() };
        let mut lines = BufReader::new(mock.child.stderr.take().context("kcat has no stderr")?).lines();
        let told = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, servers) = line.split_once("bootstrap.servers=")?;
            Some(servers.trim().to_owned())
        });
        mock.bootstrap = told.context("kcat named no mock cluster")?;
        // It goes on to talk, and would stop where nobody reads.
        thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok(mock)
    }
}

/// A mock cluster that ends when it is dropped.
#[derive(Debug)]
pub struct Mock {
    child: Child,
    bootstrap: String,
}

impl Mock {
    /// Where it listens.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse(text: &str) -> Result<Vec<Record>> {
    text.lines().map(str::parse).collect()
}

fn parse_heard(line: &str) -> Result<Heard> {
    let (what, rest) = line.split_once('\t').unwrap_or((line, ""));
    let partitions = || -> Result<Vec<(String, i32)>> {
        let one = |name: &str| {
            let (topic, index) = name.rsplit_once(':').with_context(|| format!("not a partition: {name:?}"))?;
            Ok((topic.to_owned(), index.parse()?))
        };
        rest.split('\t').filter(|name| !name.is_empty()).map(one).collect()
    };
    match what {
        "assigned" => Ok(Heard::Assigned(partitions()?)),
        "revoked" => Ok(Heard::Revoked(partitions()?)),
        "record" => Ok(Heard::Record(rest.parse()?)),
        "closed" => Ok(Heard::Closed),
        _ => bail!("the Java member said {line:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_member_says_is_understood() {
        let parts = vec![("a".to_owned(), 0), ("a".to_owned(), 11)];
        assert_eq!(parse_heard("assigned\ta:0\ta:11").unwrap(), Heard::Assigned(parts));
        assert_eq!(parse_heard("revoked").unwrap(), Heard::Revoked(vec![]));
        assert_eq!(parse_heard("closed").unwrap(), Heard::Closed);
        assert!(parse_heard("Exception in thread").is_err());
    }
}
