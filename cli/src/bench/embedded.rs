//! A cluster to measure against, where none is given: `klamm mock` as a process of its own, so that its CPU time is not
//! taken for the client's.

use anyhow::{Context, bail};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A cluster that ends with this value, and with this process too.
pub(super) struct Embedded {
    child: Child,
    pub(super) bootstrap: String,
}

impl Embedded {
    pub(super) fn start(options: &[&str]) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("where is this program?")?;
        let mut command = Command::new(program);
        command.args(["mock", "--until-stdin-closes"]).args(options);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start a cluster")?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        match line.trim_end().strip_prefix("READY bootstrap=") {
            Some(bootstrap) => Ok(Self { bootstrap: bootstrap.to_owned(), child }),
            None => bail!("the cluster did not start"),
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // Its standard input closes: that ends it. Nothing is left to do if it has ended already.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
