//! The bank's office: hires clerks, kills, stops and replaces them, and writes down what they say.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use klamm_live::Runtime;
use klamm_live::bank::Fate;
use rustix::process::{Pid, Signal, kill_process};

use super::clerk::{CLERK, Task};

/// What is written down.
#[derive(Debug)]
pub(super) struct Books {
    begin: Instant,
    pub(super) fates: BTreeMap<String, Fate>,
    last_commit: Instant,
    /// The longest time without any commit, and when it ended.
    pub(super) stall: (Duration, Duration),
    /// How often each thing was said.
    pub(super) said: BTreeMap<String, usize>,
    /// Of each life, in ms.
    pub(super) cpu: BTreeMap<String, u64>,
    /// Ends that no clerk should come to.
    pub(super) failures: Vec<String>,
    /// Everything, for whoever looks for a cause.
    pub(super) diary: Vec<String>,
    pub(super) copied: usize,
}

impl Books {
    fn hear(&mut self, life: &str, line: &str) -> Result<()> {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        let at = self.begin.elapsed();
        if what == "cpu" {
            self.cpu.insert(life.to_owned(), rest.parse()?);
            return Ok(());
        }
        *self.said.entry(what.to_owned()).or_default() += 1;
        self.diary.push(format!("{:>8.3} {life} {line}", at.as_secs_f64()));
        match what {
            "begin" => {
                ensure!(self.fates.insert(rest.to_owned(), Fate::Unknown).is_none(), "{rest} began twice");
            }
            "committed" => {
                self.end(rest, Fate::Committed)?;
                let now = Instant::now();
                let gap = now - self.last_commit;
                self.last_commit = now;
                if gap > self.stall.0 {
                    self.stall = (gap, at);
                }
            }
            "aborted" => self.end(rest, Fate::Aborted)?,
            "step" => self.copied += rest.parse::<usize>()?,
            "failed" => self.failures.push(format!("{life}: {rest}")),
            _ => {}
        }
        Ok(())
    }

    /// Something that the office knows.
    pub(super) fn note(&mut self, text: &str) {
        self.diary.push(format!("{:>8.3} {text}", self.begin.elapsed().as_secs_f64()));
    }

    fn end(&mut self, transfer: &str, fate: Fate) -> Result<()> {
        let before = self.fates.insert(transfer.to_owned(), fate);
        ensure!(before == Some(Fate::Unknown), "{transfer} is {fate:?} after {before:?}");
        Ok(())
    }

    pub(super) fn count(&self, fate: Fate) -> usize {
        self.fates.values().filter(|f| **f == fate).count()
    }

    pub(super) fn times(&self, what: &str) -> usize {
        self.said.get(what).copied().unwrap_or(0)
    }
}

/// One life of a clerk.
struct Clerk {
    life: String,
    child: Child,
    stdin: Option<ChildStdin>,
    listener: Option<JoinHandle<()>>,
    open: Arc<AtomicBool>,
}

impl Clerk {
    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal).with_context(|| format!("cannot send {signal:?}"))
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Waits until it is gone, and all that it said is written down.
    fn wait(&mut self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !self.has_ended() {
            ensure!(Instant::now() < deadline, "{} did not end within {limit:?}", self.life);
            thread::sleep(Duration::from_millis(20));
        }
        self.listen_to_the_end();
        Ok(())
    }

    fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.listen_to_the_end();
        Ok(())
    }

    fn listen_to_the_end(&mut self) {
        if let Some(listener) = self.listener.take() {
            // It notes what goes wrong in the books.
            let _ = listener.join();
        }
    }
}

impl Drop for Clerk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A place that is always filled, under one transactional id.
pub(super) struct Post {
    task: Task,
    lives: usize,
    clerk: Option<Clerk>,
    retired: Vec<Clerk>,
}

/// How a clerk's life ends.
const ENDS: [&str; 5] = ["killed", "killed", "replaced", "paused and replaced", "dismissed"];

/// How long a clerk may take to hear that it is over: the transaction that it is in has to end.
const FAREWELL: Duration = Duration::from_secs(60);

pub(super) struct Office {
    books: Arc<Mutex<Books>>,
    /// How often each end was brought about.
    pub(super) ends: BTreeMap<&'static str, usize>,
    posts: Vec<Post>,
}

impl Office {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let books = Books {
            begin: now,
            fates: BTreeMap::new(),
            last_commit: now,
            stall: (Duration::ZERO, Duration::ZERO),
            said: BTreeMap::new(),
            cpu: BTreeMap::new(),
            failures: Vec::new(),
            diary: Vec::new(),
            copied: 0,
        };
        Self { books: Arc::new(Mutex::new(books)), ends: BTreeMap::new(), posts: Vec::new() }
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn shared(&self) -> Arc<Mutex<Books>> {
        self.books.clone()
    }

    /// The time without a commit begins now, whatever was before.
    pub(super) fn forget_stalls(&self) {
        let mut books = self.books();
        books.last_commit = Instant::now();
        books.stall = (Duration::ZERO, Duration::ZERO);
    }

    /// Fills a place.
    pub(super) fn hire(&mut self, task: Task) -> Result<()> {
        self.posts.push(Post { task, lives: 0, clerk: None, retired: Vec::new() });
        self.fill(self.posts.len() - 1)
    }

    fn fill(&mut self, at: usize) -> Result<()> {
        let books = self.books.clone();
        let post = &mut self.posts[at];
        let mut task = post.task.clone();
        post.lives += 1;
        task.life = format!("{}-{}", task.life, post.lives);
        task.runtime = Runtime::ALL[(at + post.lives) % Runtime::ALL.len()];
        let mut command = Command::new(std::env::current_exe()?);
        command.env(CLERK, task.text()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start a clerk")?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().context("a clerk has no stdout")?);
        let open = Arc::new(AtomicBool::new(false));
        let (life, opened) = (task.life.clone(), open.clone());
        let listener = thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                opened.fetch_or(line.starts_with("open"), Ordering::AcqRel);
                let mut books = books.lock().unwrap_or_else(PoisonError::into_inner);
                if let Err(error) = books.hear(&life, &line) {
                    books.failures.push(format!("{life} said {line:?}: {error:#}"));
                }
            }
        });
        post.clerk = Some(Clerk { life: task.life, child, stdin, listener: Some(listener), open });
        Ok(())
    }

    /// Ends the life of some clerk in some way, and fills its place.
    pub(super) fn turn_over(&mut self, rng: &mut fastrand::Rng) -> Result<()> {
        let at = rng.usize(..self.posts.len());
        let Some(mut clerk) = self.posts[at].clerk.take() else { return self.fill(at) };
        let end = if clerk.has_ended() { "gone by itself" } else { ENDS[rng.usize(..ENDS.len())] };
        *self.ends.entry(end).or_default() += 1;
        self.books().note(&format!("the office: {} is {end}", clerk.life));
        match end {
            "killed" => {
                clerk.kill()?;
                return self.fill(at);
            }
            "replaced" => self.fill(at)?,
            "paused and replaced" => {
                clerk.signal(Signal::STOP)?;
                self.fill(at)?;
                let deadline = Instant::now() + Duration::from_secs(rng.u64(2..9));
                let open = self.posts[at].clerk.as_ref().context("just hired")?.open.clone();
                while !open.load(Ordering::Acquire) && Instant::now() < deadline {
                    thread::sleep(Duration::from_millis(20));
                }
                clerk.signal(Signal::CONT)?;
            }
            "dismissed" => {
                clerk.stdin.take();
                if clerk.wait(FAREWELL).is_err() {
                    self.books().failures.push(format!("{} does not end", clerk.life));
                }
                return self.fill(at);
            }
            _ => {
                clerk.listen_to_the_end();
                return self.fill(at);
            }
        }
        self.posts[at].retired.push(clerk);
        Ok(())
    }

    /// Lets those go who copy, or those who transfer; waits until they are gone.
    pub(super) fn dismiss(&mut self, tellers: bool) -> Result<()> {
        let mut leaving: Vec<Clerk> = Vec::new();
        for post in self.posts.iter_mut().filter(|post| post.task.teller == tellers) {
            leaving.extend(post.retired.drain(..).chain(post.clerk.take()));
        }
        leaving.iter_mut().for_each(|clerk| drop(clerk.stdin.take()));
        leaving.iter_mut().try_for_each(|clerk| clerk.wait(FAREWELL))
    }
}
