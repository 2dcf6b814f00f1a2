//! The run: every cell in turn, again and again, so that what else the machine does hits all alike.

use crate::Failure;
use crate::broker::Broker;
use crate::cell::Cell;
use std::process::{Command, Stdio};

/// What is measured unless cells are named. The first of each kind and size is what the others are compared with.
const CELLS: &[&str] = &[
    "produce/100/librdkafka/tuned",
    "produce/100/blocking-receipts/tuned",
    "produce/100/blocking-send/tuned",
    "produce/100/blocking-batch/tuned",
    "produce/100/tokio-receipts/tuned",
    "produce/100/tokio-send/tuned",
    "produce/100/tokio-receipts/defaults",
    "produce/100/tokio-mt-send/defaults",
    "produce/1024/librdkafka/tuned",
    "produce/1024/blocking-receipts/tuned",
    "produce/1024/tokio-receipts/tuned",
    "produce/1024/tokio-receipts/defaults",
    "consume/100/librdkafka/tuned",
    "consume/100/blocking-poll/defaults",
    "consume/100/tokio-poll/defaults",
    "consume/100/blocking-iter/defaults",
    "consume/100/tokio-recv/defaults",
    "consume/100/tokio-mt-recv/defaults",
    "consume/1024/librdkafka/tuned",
    "consume/1024/blocking-poll/defaults",
    "consume/1024/tokio-poll/defaults",
    "consume/1024/tokio-recv/defaults",
];

struct Row {
    cell: Cell,
    cpu: Vec<f64>,
    rate: Vec<f64>,
    /// How much of one core the broker used meanwhile.
    broker: Vec<f64>,
    rss: u64,
}

/// Runs the cells and prints the table.
pub fn run(args: &[&str]) -> Result<(), Failure> {
    let (mut reps, mut records, mut cells) = (5, 2_000_000, Vec::new());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match *arg {
            "--reps" => reps = args.next().ok_or("--reps N")?.parse()?,
            "--records" => records = args.next().ok_or("--records N")?.parse()?,
            cell => cells.push(Cell::parse(cell).ok_or_else(|| format!("{cell} is no cell"))?),
        }
    }
    if cells.is_empty() {
        cells = CELLS.iter().filter_map(|cell| Cell::parse(cell)).collect();
    }
    let new = |cell| Row { cell, cpu: Vec::new(), rate: Vec::new(), broker: Vec::new(), rss: 0 };
    let mut rows: Vec<Row> = cells.into_iter().map(new).collect();
    for rep in 0..reps {
        for row in &mut rows {
            one(row, records)?;
            eprint!("\r{}/{reps} {:50}", rep + 1, row.cell.to_string());
        }
    }
    eprintln!();
    print(&rows);
    Ok(())
}

fn one(row: &mut Row, records: u64) -> Result<(), Failure> {
    let size = row.cell.size;
    // About as many bytes in every cell.
    let records = records * 100 / size as u64;
    let mut broker = Broker::start(if row.cell.what == "consume" { size } else { 0 })?;
    let cell = row.cell.to_string();
    let out = Command::new(std::env::current_exe()?)
        .args(["client", &cell, &records.to_string(), &broker.bootstrap])
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8(out.stdout)?;
    let mut numbers = text.split_whitespace();
    let mut next = || -> Result<f64, Failure> { Ok(numbers.next().ok_or_else(|| format!("{cell} failed"))?.parse()?) };
    let (cpu, rate, rss) = (next()?, next()?, next()?);
    let wall = records as f64 * 1.1 / rate;
    row.broker.push(broker.cpu()? / wall);
    row.cpu.push(cpu);
    row.rate.push(rate);
    row.rss = row.rss.max(rss as u64);
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn print(rows: &[Row]) {
    println!("| cell | CPU ns/record | min | ratio | M records/s | broker's cores | peak RSS MiB |");
    println!("|---|---|---|---|---|---|---|");
    for row in rows {
        let alike = |other: &&Row| (&other.cell.what, other.cell.size) == (&row.cell.what, row.cell.size);
        let peer = rows.iter().filter(alike).find(|other| other.cell.is_peer());
        let cpu = median(&row.cpu);
        let ratio = peer.map_or(f64::NAN, |peer| cpu / median(&peer.cpu));
        let least = row.cpu.iter().copied().fold(f64::INFINITY, f64::min);
        println!(
            "| {} | {cpu:.0} | {least:.0} | {ratio:.2} | {:.2} | {:.2} | {} |",
            row.cell,
            median(&row.rate) / 1e6,
            median(&row.broker),
            row.rss / 1024
        );
    }
}
