//! Tables for people, JSON for programs.

use comfy_table::{Table, presets};
use serde_json::Value;
use std::io::{self, Write};

/// Prints rows under their heads, in columns.
pub(crate) fn print<const N: usize>(heads: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> io::Result<()> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(heads);
    table.add_rows(rows);
    let mut out = io::stdout().lock();
    for line in table.lines() {
        writeln!(out, "{}", line.trim())?;
    }
    Ok(())
}

/// Prints one JSON value per line.
pub(crate) fn json(values: impl IntoIterator<Item = Value>) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for value in values {
        writeln!(out, "{value}")?;
    }
    out.flush()
}

/// What may be missing.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Numbers with commas between them.
pub(crate) fn join(items: impl IntoIterator<Item = impl ToString>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}
