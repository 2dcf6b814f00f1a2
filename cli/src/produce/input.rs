//! Where the lines come from. A thread reads ahead, so that Ctrl-C ends the input even where nothing comes.

use crate::stop::on_signal;
use anyhow::Context;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// How much is read at once.
const PIECE: usize = 256 << 10;
/// How many pieces wait at most.
const AHEAD: usize = 4;

/// A part of the input.
pub(super) enum Piece {
    /// Some of it.
    Bytes(Vec<u8>),
    /// A file that is one record.
    Whole(Vec<u8>),
    /// A file, or standard input, ends: so does its last line.
    EndOfFile,
}

/// The pieces; ends with the input, or at Ctrl-C.
pub(super) struct Input(Receiver<Option<anyhow::Result<Piece>>>);

impl Input {
    pub(super) fn open(files: Vec<PathBuf>, whole: bool) -> anyhow::Result<Self> {
        let (to, from) = sync_channel(AHEAD);
        let stop = to.clone();
        // If nobody listens any more it is over anyway.
        on_signal(move || stop.send(None).unwrap_or_default()).context("cannot listen for signals")?;
        let read = move || {
            let result = if files.is_empty() {
                read(&mut io::stdin().lock(), &to).context("standard input")
            } else {
                files.iter().try_for_each(|file| one(file, whole, &to))
            };
            // Whoever is told has stopped listening only if the input no longer matters.
            let _ = match result {
                Ok(()) => to.send(None),
                Err(error) => to.send(Some(Err(error))),
            };
        };
        std::thread::Builder::new().name("input".to_owned()).spawn(read).context("cannot start a thread")?;
        Ok(Self(from))
    }
}

fn one(path: &Path, whole: bool, to: &SyncSender<Option<anyhow::Result<Piece>>>) -> anyhow::Result<()> {
    let name = || path.display().to_string();
    let mut file = File::open(path).with_context(name)?;
    if !whole {
        return read(&mut file, to).with_context(name);
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).with_context(name)?;
    to.send(Some(Ok(Piece::Whole(bytes)))).ok();
    Ok(())
}

fn read(from: &mut impl Read, to: &SyncSender<Option<anyhow::Result<Piece>>>) -> io::Result<()> {
    loop {
        let mut piece = vec![0; PIECE];
        let n = match from.read(&mut piece) {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        piece.truncate(n);
        let piece = if n == 0 { Piece::EndOfFile } else { Piece::Bytes(piece) };
        if to.send(Some(Ok(piece))).is_err() || n == 0 {
            return Ok(());
        }
    }
}

impl Iterator for Input {
    type Item = anyhow::Result<Piece>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.recv().ok().flatten()
    }
}
