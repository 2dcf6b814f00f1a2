//! Java processes that are known by a file with their pid, and that end with us however we end.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// How long a process may take to end after TERM before it is killed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What this process has used of its processors.
pub fn process_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

/// A running Java process of ours. Killed and reaped when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    pid_file: PathBuf,
    log: PathBuf,
    /// Where this process's part of the log begins.
    log_start: usize,
}

impl Process {
    /// Starts `command` with its output appended to `run/NAME.log` and its pid in `run/NAME.pid`.
    /// Its arguments must hold the path of `run`: by that a pid file of a crashed run is told from a recycled pid.
    pub(crate) fn start(run: &Path, name: &str, mut command: Command) -> Result<Self> {
        let log = run.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log)?;
        let err = out.try_clone()?;
        let log_start = usize::try_from(out.metadata()?.len())?;
        // A group of its own: Ctrl-C in a terminal must not hit the brokers before the tests ended.
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let pid_file = run.join(format!("{name}.pid"));
        fs::write(&pid_file, child.id().to_string())?;
        Ok(Self { name: name.to_owned(), child, pid_file, log, log_start })
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).with_context(|| format!("cannot send {signal:?} to {}", self.name))
    }

    /// Waits until STOP has reached every thread: until then one of them may still answer.
    pub(crate) fn wait_until_stopped(&self) -> Result<()> {
        let threads = PathBuf::from(format!("/proc/{}/task", self.pid()));
        for _ in 0..200 {
            let Ok(mut all) = fs::read_dir(&threads) else {
                // Where there is no /proc to look at, a moment has to do.
                thread::sleep(Duration::from_millis(200));
                return Ok(());
            };
            if all.all(|thread| thread.is_ok_and(|thread| is_stopped(&thread.path()))) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("{} does not stop", self.name)
    }

    /// Its exit status, once it ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The end of its log, for messages.
    pub(crate) fn last_words(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(bytes.get(self.log_start..).unwrap_or_default());
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Asks it to end. Several may be asked before the first is waited for.
    pub(crate) fn ask_to_end(&self) {
        // A paused process would not hear TERM. Both fail only if it is gone already.
        let _ = self.signal(Signal::CONT);
        let _ = self.signal(Signal::TERM);
    }

    /// Waits for its end, and kills it when that takes too long.
    pub(crate) fn wait_for_end(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.child.try_wait()?.is_some() {
                return self.forget();
            }
            thread::sleep(Duration::from_millis(50));
        }
        self.kill()
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("cannot kill {}", self.name))?;
        self.child.wait()?;
        self.forget()
    }

    fn forget(&self) -> Result<()> {
        match fs::remove_file(&self.pid_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn is_stopped(thread: &Path) -> bool {
    let stat = fs::read_to_string(thread.join("stat")).unwrap_or_default();
    // The name before it may hold anything, a bracket too.
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = self.kill();
        }
    }
}

/// A shell that ends the processes of one run when this process goes away, even by SIGKILL: the kernel then closes
/// our end of the pipe that the shell reads.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
    pipe: Option<ChildStdin>,
}

/// `$1` is the run's folder. A pid counts only while its command line names that folder.
const WATCH: &str = r#"
cat > /dev/null
each() {
  for file in "$run"/*.pid; do
    [ -f "$file" ] || continue
    pid=$(cat "$file")
    command=$(tr '\0' ' ' < "/proc/$pid/cmdline" 2> /dev/null || ps -o command= -p "$pid")
    case $command in *"$run"*) kill "-$1" "$pid" 2> /dev/null ;; esac
  done
}
run=$1
each CONT; each TERM
sleep 5
each KILL
"#;

impl Watchdog {
    /// Watches over the pid files in `run`.
    pub(crate) fn start(run: &Path) -> Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", WATCH, "klamm-live-watchdog"]).arg(run);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut shell = command.spawn().context("cannot start sh")?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Only dropped after all processes ended, so there is nothing left for it to do. The shell goes first: `cat`
        // would otherwise wake it.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
        drop(self.pipe.take());
    }
}

/// Ends whatever a run that is no more left behind, by the pid files in its folder. Says how many were alive.
pub(crate) fn end_leftovers(run: &Path, patience: Duration) -> Result<usize> {
    let mut left = Vec::new();
    for entry in fs::read_dir(run)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "pid") {
            continue;
        }
        let pid = fs::read_to_string(&path)?.trim().parse::<i32>().ok().and_then(Pid::from_raw);
        left.extend(pid.filter(|pid| belongs_to(*pid, run)));
    }
    for pid in &left {
        let _ = kill_process(*pid, Signal::CONT);
        let _ = kill_process(*pid, Signal::TERM);
    }
    let deadline = Instant::now() + patience;
    let alive = |pid: &&Pid| test_kill_process(**pid).is_ok() && belongs_to(**pid, run);
    while left.iter().any(|pid| alive(&pid)) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(50));
    }
    for pid in left.iter().filter(alive) {
        kill_process(*pid, Signal::KILL).with_context(|| format!("cannot kill a leftover of {}", run.display()))?;
    }
    Ok(left.len())
}

/// Whether a process is still the one that was started for `run`: its command line names the folder.
pub(crate) fn belongs_to(pid: Pid, run: &Path) -> bool {
    let line = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).ok().or_else(|| {
        let ps = Command::new("ps").args(["-o", "command=", "-p"]).arg(pid.as_raw_nonzero().to_string()).output();
        ps.ok().map(|output| output.stdout)
    });
    line.is_some_and(|line| String::from_utf8_lossy(&line).contains(&*run.to_string_lossy()))
}

/// Runs a program with `input` as its stdin to its end within `limit`, and gives its stdout.
pub(crate) fn run(mut command: Command, input: String, what: &str, limit: Duration) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {what}"))?;
    let stdin = child.stdin.take();
    // From a thread: a child that writes before it has read all must not block us.
    thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
    let out = collect(child.stdout.take());
    let err = collect(child.stderr.take());
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if Instant::now() >= deadline => {
                child.kill()?;
                child.wait()?;
                bail!("{what} did not end within {limit:?}\n{}", err.join().unwrap_or_default());
            }
            None => thread::sleep(Duration::from_millis(20)),
        }
    };
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    if !status.success() {
        bail!("{what} failed ({status})\n{out}{err}");
    }
    Ok(out)
}

fn collect(pipe: Option<impl io::Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh_folder(name: &str) -> PathBuf {
        let folder = crate::folders::home().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// A process that names `run` on its command line, ignores TERM, and has its pid in a file.
    fn stubborn(run: &Path) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; while :; do sleep 0.1; done", "stubborn"]).arg(run).process_group(0);
        let child = command.spawn().unwrap();
        // Its command line is there a moment after it began.
        while !belongs_to(Pid::from_child(&child), run) {
            thread::sleep(Duration::from_millis(5));
        }
        fs::write(run.join("stubborn.pid"), child.id().to_string()).unwrap();
        child
    }

    #[test]
    fn leftovers_are_ended_and_recycled_pids_are_not() {
        let run = fresh_folder("leftovers");
        let mut child = stubborn(&run);
        fs::write(run.join("recycled.pid"), std::process::id().to_string()).unwrap();
        // Reaps the child as it ends: a zombie would still look alive.
        let reaper = thread::spawn(move || child.wait().unwrap());
        assert_eq!(end_leftovers(&run, Duration::from_millis(300)).unwrap(), 1);
        assert!(!reaper.join().unwrap().success());
        fs::remove_dir_all(run).unwrap();
    }

    #[test]
    fn the_watchdog_ends_what_is_left_when_we_go() {
        let run = fresh_folder("watched");
        let mut child = stubborn(&run);
        let mut watchdog = Watchdog::start(&run).unwrap();
        thread::sleep(Duration::from_millis(200));
        assert!(child.try_wait().unwrap().is_none());
        // What the kernel does when we die.
        drop(watchdog.pipe.take());
        let start = Instant::now();
        assert!(!child.wait().unwrap().success());
        assert!(start.elapsed() < Duration::from_secs(9));
        drop(watchdog);
        fs::remove_dir_all(run).unwrap();
    }

    #[test]
    fn a_program_that_takes_too_long_is_killed() {
        let mut command = Command::new("sh");
        command.args(["-c", "exec sleep 60"]);
        let error = run(command, String::new(), "a sleeper", Duration::from_millis(100)).unwrap_err();
        assert!(error.to_string().starts_with("a sleeper did not end within 100ms"), "{error}");
    }

    #[test]
    fn a_program_gets_its_input_and_its_failure_is_told() {
        let text = run(Command::new("cat"), "in\n".repeat(100_000), "cat", Duration::from_secs(20)).unwrap();
        assert_eq!(text.len(), 300_000);
        let mut command = Command::new("sh");
        command.args(["-c", "echo why >&2; exit 3"]);
        let error = run(command, String::new(), "it", Duration::from_secs(20)).unwrap_err().to_string();
        assert!(error.contains("why") && error.contains('3'), "{error}");
    }
}
