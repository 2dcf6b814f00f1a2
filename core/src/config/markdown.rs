//! The table of keys as a page of documentation.

use super::{Key, Kind, Range, Section, Source, Status, keys};
use std::fmt::Write;

/// All keys as Markdown: what `docs/config.md` holds.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         Every key by its name in the Java client's properties. This page is made from the table in `core/src/config/`;\n\
         a test keeps it true.\n\n\
         Defaults are those of the Java client 4.4; where the preset for Kafka 2.5 (`Config::kafka_2_5`, `defaults=2.5`)\n\
         has another, it stands in brackets. Times are in milliseconds and may have a fraction.\n",
    );
    for (section, title, setter) in [
        (Section::Client, "Connection", "Config"),
        (Section::Producer, "Producer", "ProducerConfig"),
        (Section::Consumer, "Consumer", "ConsumerConfig"),
    ] {
        let _ = write!(
            page,
            "\n## {title}\n\nSet on `{setter}`, by setter or `set`.\n\n\
             | Key | Default | Values | What it does | Also known as |\n|---|---|---|---|---|\n"
        );
        for key in
            keys::all().filter(|k| k.section == section && matches!(k.status, Status::Supported | Status::Accepted(_)))
        {
            let also: Vec<_> = key.aliases.iter().map(|alias| format!("`{}`", alias.name)).collect();
            let _ = writeln!(
                page,
                "| `{}`{} | {} | {} | {} | {} |",
                key.name,
                if key.source == Source::Java { "" } else { " ¹" },
                default(key),
                cell(&values(key)),
                cell(&what(key)),
                also.join(", ")
            );
        }
    }
    page.push_str("\n¹ Not a key of the Java client.\n");
    page.push_str(
        "\n## Known, but not supported\n\n\
         Setting one of these to anything but its default gives a warning with the reason; where ignoring it would change\n\
         what the program means, an error.\n\n| Key | Answer | Why |\n|---|---|---|\n",
    );
    for key in keys::all() {
        let (answer, why) = match key.status {
            Status::Unsupported(why) => ("warning", why),
            Status::Refused(why) => ("error", why),
            Status::Security => (
                "error",
                "TLS and SASL are not yet supported in this version; a warning if `security.protocol=PLAINTEXT` is set",
            ),
            Status::Supported | Status::Accepted(_) => continue,
        };
        let _ = writeln!(page, "| `{}` | {answer} | {} |", key.name, cell(why));
    }
    page
}

fn what(key: &Key) -> String {
    match key.status {
        Status::Accepted(why) => format!("{} ({why})", key.doc.trim()),
        _ => key.doc.trim().into(),
    }
}

fn default(key: &Key) -> String {
    let shown = match key.default {
        None | Some("") => "–".into(),
        Some(text) => format!("`{text}`"),
    };
    match key.kafka_2_5 {
        Some(old) => format!("{shown} (`{old}`)"),
        None => shown,
    }
}

fn values(key: &Key) -> String {
    let kind = match key.kind {
        Kind::Bool => "true, false",
        Kind::Short | Kind::Int | Kind::Long => "whole number",
        Kind::Double => "number",
        Kind::Text => "text",
        Kind::List => "list",
        Kind::Password => "secret",
        Kind::Class => "class",
    };
    let range = match key.range {
        Range::Words(words) => return words.join(", "),
        Range::NonEmpty => ", not empty".into(),
        Range::Reset => return "earliest, latest, none, by_duration:PT1H".into(),
        Range::Start => return "reset, earliest, latest, by_duration:PT1H, timestamp:1700000000000".into(),
        Range::Whole(low, high) => bounds(low, high),
        Range::WholeOr(low, high, or) => format!("{} or {or}", bounds(low, high)),
        Range::Real(low, high) => format!(" {low} to {high}"),
        Range::Any => String::new(),
    };
    let unit = if key.unit.is_empty() { String::new() } else { format!(", {}", key.unit) };
    format!("{kind}{range}{unit}")
}

fn bounds(low: i64, high: i64) -> String {
    let endless = high >= i64::from(i32::MAX);
    match (low <= i64::from(i32::MIN), endless) {
        (true, _) => String::new(),
        (false, true) => format!(" from {low}"),
        (false, false) => format!(" {low} to {high}"),
    }
}

/// Text that cannot break out of its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
