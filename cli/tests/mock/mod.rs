//! `klamm mock` as a process of its own.

use crate::support::{Ended, klamm, run};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

/// A cluster that ends with this value.
pub(crate) struct Mock {
    child: Child,
    pub(crate) bootstrap: String,
}

impl Mock {
    pub(crate) fn start(options: &[&str]) -> Self {
        let mut command = klamm(&["mock", "--until-stdin-closes"]);
        let mut child = command.args(options).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let bootstrap = line.trim_end().strip_prefix("READY bootstrap=").expect(&line).to_owned();
        Self { child, bootstrap }
    }

    /// Runs the command against this cluster.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        let mut command = klamm(args);
        command.args(["-b", &self.bootstrap]);
        run(command, b"")
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
