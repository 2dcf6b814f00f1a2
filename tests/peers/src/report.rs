//! The figures as tables and as a plot.

use crate::Failure;
use crate::cell::Cell;
use crate::limits::Limit;
use plotters::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Between these two lines of docs/performance.md everything is written by a run.
const BEGIN: &str = "<!-- figures: written by tests/peers -->";
const END: &str = "<!-- end of figures -->";

/// What one cell came to, by repetition.
pub struct Row {
    pub cell: Cell,
    cpu: Vec<f64>,
    rate: Vec<f64>,
    /// How much of one core the broker used meanwhile.
    pub broker: Vec<f64>,
    rss: f64,
    /// Per record, if they were counted.
    pub allocations: Option<f64>,
    latency: [Vec<f64>; 3],
    /// Why there is nothing, or no more.
    pub failure: Option<String>,
}

impl Row {
    /// Nothing yet.
    pub fn new(cell: Cell) -> Self {
        Self {
            cell,
            cpu: vec![],
            rate: vec![],
            broker: vec![],
            rss: 0.0,
            allocations: None,
            latency: Default::default(),
            failure: None,
        }
    }

    /// One more repetition.
    pub fn add(&mut self, said: &BTreeMap<String, f64>) {
        self.cpu.extend(said.get("cpu"));
        self.rate.extend(said.get("rate"));
        self.rss = self.rss.max(said.get("rss").copied().unwrap_or(0.0));
        for (all, name) in self.latency.iter_mut().zip(["p50", "p99", "p999"]) {
            all.extend(said.get(name));
        }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// Where the figures are from, and how busy it was: on a machine that others use they say little.
fn machine() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let load = read("/proc/loadavg");
    format!(
        "{} CPUs, {}; load when it was done {}.",
        std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        model.map_or("unknown", |(_, name)| name.trim()),
        load.split(' ').next().unwrap_or("unknown"),
    )
}

/// All tables.
pub fn tables(rows: &[Row], limits: &[Limit]) -> String {
    let mut text = String::new();
    let measured: Vec<&Row> = rows.iter().filter(|row| !row.cpu.is_empty()).collect();
    if !measured.is_empty() {
        let _ = writeln!(
            text,
            "{} Medians of {}; the ratio is of CPU per record, to the tuned librdkafka at the same work.\n",
            machine(),
            measured.iter().map(|row| row.cpu.len()).max().unwrap_or(0),
        );
        let _ = writeln!(
            text,
            "| work | by | CPU ns/record | least to most | ratio | times the floor | M records/s | broker's cores | peak RSS MiB | allocations/record |"
        );
        let _ = writeln!(text, "|---|---|---|---|---|---|---|---|---|---|");
    }
    for row in &measured {
        let same = |other: &&&Row| other.cell.work() == row.cell.work();
        let to = |found: Option<&&Row>| match found {
            Some(other) => format!("{:.2}", median(&row.cpu) / median(&other.cpu)),
            None => String::new(),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} | {:.0} to {:.0} | {} | {} | {:.2} | {:.2} | {:.0} | {} |",
            row.cell.work(),
            row.cell.by(),
            median(&row.cpu),
            least(&row.cpu),
            most(&row.cpu),
            to(measured.iter().filter(same).find(|other| other.cell.is_measure())),
            to(measured.iter().filter(same).find(|other| other.cell.who == "floor")),
            median(&row.rate) / 1e6,
            median(&row.broker),
            row.rss / 1024.0,
            row.allocations.map_or_else(String::new, |count| format!("{count:.4}")),
        );
    }
    let late: Vec<&Row> = rows.iter().filter(|row| !row.latency[0].is_empty()).collect();
    if !late.is_empty() {
        let _ = writeln!(
            text,
            "\nFrom the call to the acknowledgement, at {} records of 100 B a second, in ms:\n",
            crate::latency::RATE
        );
        let _ = writeln!(text, "| work | by | p50 | p99 | p99.9 |\n|---|---|---|---|---|");
    }
    for row in late {
        let [p50, p99, p999] = &row.latency;
        let (p50, p99, p999) = (median(p50), median(p99), median(p999));
        let _ = writeln!(text, "| {} | {} | {p50:.2} | {p99:.2} | {p999:.2} |", row.cell.work(), row.cell.by());
    }
    let mut failures: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in rows {
        if let Some(failure) = &row.failure {
            failures.entry(failure).or_default().push(row.cell.to_string());
        }
    }
    for (failure, cells) in failures {
        let _ = writeln!(text, "\n**Failed**: {failure}: {}", cells.join(", "));
    }
    if !limits.is_empty() {
        let _ = writeln!(
            text,
            "\nThe machine alone, in the same run (the best of five):\n\n| what | CPU ns per 100 B | GB/s of CPU |\n|---|---|---|"
        );
    }
    for limit in limits {
        let _ = writeln!(text, "| {} | {:.1} | {:.2} |", limit.what, limit.ns, 100.0 / limit.ns);
    }
    text
}

/// Puts the tables and the plot into docs/.
pub fn write(text: &str, rows: &[Row]) -> Result<(), Failure> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let file = docs.join("performance.md");
    let old = std::fs::read_to_string(&file)?;
    let (Some((head, rest)), true) = (old.split_once(BEGIN), old.contains(END)) else {
        return Err("docs/performance.md has no place for the figures".into());
    };
    let tail = rest.split_once(END).map_or("", |(_, tail)| tail);
    std::fs::write(&file, format!("{head}{BEGIN}\n\n![CPU per record](performance.svg)\n\n{text}\n{END}{tail}"))?;
    plot(&docs.join("performance.svg"), rows)
}

/// Bars of the CPU per record as a share of librdkafka's, grouped by the work.
fn plot(file: &Path, rows: &[Row]) -> Result<(), Failure> {
    let measured: Vec<&Row> = rows.iter().filter(|row| !row.cpu.is_empty()).collect();
    let mut bars = Vec::new();
    let mut works: Vec<String> = Vec::new();
    for row in &measured {
        let work = row.cell.work();
        let measure = measured.iter().find(|other| other.cell.is_measure() && other.cell.work() == work);
        let Some(measure) = measure else { continue };
        if !works.contains(&work) {
            works.push(work.clone());
            bars.push((work, None));
        }
        bars.push((row.cell.by(), Some((median(&row.cpu) / median(&measure.cpu), row.cell.who.clone()))));
    }
    let (line, left, width) = (16, 250, 900);
    let height = 60 + line * bars.len() as i32;
    let most = 1.5;
    let root = SVGBackend::new(file, (width as u32, height as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    let font = ("sans-serif", 12).into_font();
    let scale = f64::from(width - left - 70) / most;
    let at = |share: f64| left + (share.min(most) * scale) as i32;
    root.draw(&Text::new(
        "CPU per record as a share of the tuned librdkafka's (less is better)",
        (10, 10),
        ("sans-serif", 15).into_font(),
    ))?;
    for tenth in [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5] {
        root.draw(&PathElement::new(vec![(at(tenth), 45), (at(tenth), height - 8)], RGBColor(220, 220, 220)))?;
        root.draw(&Text::new(format!("{tenth}"), (at(tenth) - 6, 32), font.clone()))?;
    }
    for (n, (name, bar)) in bars.iter().enumerate() {
        let y = 50 + line * n as i32;
        let Some((share, who)) = bar else {
            root.draw(&Text::new(name.clone(), (10, y), ("sans-serif", 12).into_font().style(FontStyle::Bold)))?;
            continue;
        };
        let colour = match who.as_str() {
            "librdkafka" => RGBColor(150, 150, 150),
            "krafka" => RGBColor(214, 126, 44),
            "floor" => RGBColor(60, 60, 60),
            _ => RGBColor(31, 119, 180),
        };
        root.draw(&Text::new(name.clone(), (30, y), font.clone()))?;
        root.draw(&Rectangle::new([(left, y + 1), (at(*share), y + line - 4)], colour.filled()))?;
        root.draw(&Text::new(format!("{share:.2}"), (at(*share) + 5, y), font.clone()))?;
    }
    root.present()?;
    Ok(())
}
