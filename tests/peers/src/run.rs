//! The run: every cell in turn, again and again, so that what else the machine does hits all alike.

use crate::Failure;
use crate::broker::Broker;
use crate::cell::Cell;
use crate::report::{self, Row};
use crate::{latency, sets};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A client that takes longer is ended, and its cell has failed.
const PATIENCE: Duration = Duration::from_secs(90);
/// Records of a cell whose allocations are counted, as a share of those of a timed one.
const COUNTED: u64 = 4;

/// What is asked of a run.
struct Asked {
    reps: usize,
    records: u64,
    /// No repetition begins later than this after the begin of the first.
    limit: Duration,
    cells: Vec<Cell>,
    /// Of a real cluster; else a broker in a process of its own for each client.
    bootstrap: Option<String>,
    /// Whether `docs/performance.md` and its plot are written.
    write: bool,
    limits: bool,
}

fn parse(args: &[&str]) -> Result<Asked, Failure> {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let mut asked = Asked {
        reps: 5,
        records: 3_000_000,
        limit: minutes(13),
        cells: Vec::new(),
        bootstrap: None,
        write: false,
        limits: true,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match *arg {
            "quick" => {
                (asked.reps, asked.records, asked.limit) = (1, 500_000, minutes(4));
                asked.cells.extend(sets::eight().into_iter().chain(sets::latencies()));
            }
            "table" => asked.cells.extend(sets::eight()),
            "full" => {
                asked.limit = minutes(60);
                asked.cells.extend(sets::eight().into_iter().chain(sets::others()).chain(sets::latencies()));
            }
            "--reps" => asked.reps = args.next().ok_or("--reps N")?.parse()?,
            "--records" => asked.records = args.next().ok_or("--records N")?.parse()?,
            "--minutes" => asked.limit = minutes(args.next().ok_or("--minutes N")?.parse()?),
            "--bootstrap" => asked.bootstrap = Some((*args.next().ok_or("--bootstrap HOST:PORT")?).to_owned()),
            "--write" => asked.write = true,
            "--no-limits" => asked.limits = false,
            cell => asked.cells.push(Cell::parse(cell).ok_or_else(|| format!("{cell} is no cell; {}", crate::USAGE))?),
        }
    }
    if asked.cells.is_empty() {
        return Err(crate::USAGE.into());
    }
    Ok(asked)
}

/// Runs the cells and prints the tables. A cell that fails is told of there, and ends nothing.
pub fn run(args: &[&str]) -> Result<(), Failure> {
    let asked = parse(args)?;
    if let Some(bootstrap) = &asked.bootstrap {
        fill(bootstrap, &asked)?;
    }
    let begun = Instant::now();
    let limits = if asked.limits { crate::limits::all()? } else { Vec::new() };
    let mut rows: Vec<Row> = asked.cells.iter().cloned().map(Row::new).collect();
    count_allocations(&mut rows, &asked);
    let timed = std::env::current_exe()?;
    let mut reps = 0;
    while reps < asked.reps && (reps == 0 || begun.elapsed() < asked.limit) {
        for row in rows.iter_mut().filter(|row| row.failure.is_none()) {
            if reps > 0 && begun.elapsed() >= asked.limit {
                break;
            }
            eprint!("\r{}/{} {:60}", reps + 1, asked.reps, row.cell.to_string());
            let records = records(&row.cell, &asked);
            match one(&timed, row, records, &asked) {
                Ok(said) => row.add(&said),
                Err(failure) => row.failure = Some(failure.to_string()),
            }
        }
        reps += 1;
    }
    eprintln!("\n{:.0} s", begun.elapsed().as_secs_f64());
    let text = report::tables(&rows, &limits);
    println!("{text}");
    if asked.write {
        report::write(&text, &rows)?;
    }
    Ok(())
}

/// About as many bytes in every cell, and less of what takes long.
fn records(cell: &Cell, asked: &Asked) -> u64 {
    let dear = if cell.codec == "none" { 1 } else { 4 };
    match cell.what.as_str() {
        "latency" => 3 * latency::RATE,
        _ => (asked.records * 100 / cell.size as u64 / dear / 1000).max(1) * 1000,
    }
}

/// Has the other program count what each cell allocates; without that program nobody does.
fn count_allocations(rows: &mut [Row], asked: &Asked) {
    let program = std::env::current_exe().map(|own| own.with_file_name("klamm-peers-counted")).unwrap_or_default();
    if !program.exists() {
        eprintln!("allocations are not counted: {} was not built", program.display());
        return;
    }
    for row in rows.iter_mut().filter(|row| row.cell.what != "latency") {
        eprint!("\rallocations of {:60}", row.cell.to_string());
        // If it fails, it does so again when it is timed, and that is told.
        let records = (records(&row.cell, asked) / COUNTED).max(1_000);
        if let Ok(said) = one(&program, row, records, asked) {
            row.allocations = said.get("allocations").copied();
        }
    }
}

/// One client process against one broker, and what it said.
fn one(program: &Path, row: &mut Row, records: u64, asked: &Asked) -> Result<BTreeMap<String, f64>, Failure> {
    let mut broker = if asked.bootstrap.is_some() { None } else { Some(Broker::start(&row.cell)?) };
    let bootstrap = match (&broker, &asked.bootstrap) {
        (Some(broker), _) => broker.bootstrap.clone(),
        (None, given) => given.clone().unwrap_or_default(),
    };
    let before = broker.as_mut().map(Broker::cpu).transpose()?;
    let begun = Instant::now();
    let text = said_by(program, &["client", &row.cell.to_string(), &records.to_string(), &bootstrap])?;
    let wall = begun.elapsed().as_secs_f64();
    if let (Some(broker), Some(before)) = (&mut broker, before) {
        row.broker.push((broker.cpu()? - before) / wall);
    }
    let pairs = text.split_whitespace().filter_map(|word| word.split_once('='));
    Ok(pairs.filter_map(|(k, v)| Some((k.to_owned(), v.parse().ok()?))).collect())
}

/// What a program prints, unless it fails or takes too long.
fn said_by(program: &Path, args: &[&str]) -> Result<String, Failure> {
    let mut child = Command::new(program).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // What it complains of may be more than a pipe holds.
    let told = child.stderr.take().map(|mut err| {
        std::thread::spawn(move || {
            let mut told = Vec::new();
            let _ = err.read_to_end(&mut told);
            String::from_utf8_lossy(&told).lines().last().unwrap_or("it said nothing").to_owned()
        })
    });
    let begun = Instant::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if begun.elapsed() > PATIENCE => {
                child.kill()?;
                child.wait()?;
                return Err(format!("ended after {} s", PATIENCE.as_secs()).into());
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let told = told.and_then(|told| told.join().ok()).unwrap_or_default();
    if !status.success() {
        return Err(told.into());
    }
    let mut said = String::new();
    if let Some(out) = &mut child.stdout {
        out.read_to_string(&mut said)?;
    }
    Ok(said)
}

/// Makes the topics of a real cluster, and the records of those that are read.
fn fill(bootstrap: &str, asked: &Asked) -> Result<(), Failure> {
    use klamm::admin::NewTopic;
    use klamm::{Blocking, Kafka};
    let kafka = Kafka::connect(Blocking, bootstrap).wait()?;
    let mut made = BTreeSet::new();
    for cell in &asked.cells {
        if made.insert(cell.topic()) {
            // It may be there from an earlier run.
            let _ = kafka.admin().create_topics([NewTopic::new(cell.topic(), cell.partitions, 1)]).wait();
        }
    }
    let mut filled = BTreeSet::new();
    for cell in asked.cells.iter().filter(|cell| cell.what == "consume") {
        if filled.insert(cell.topic()) {
            let writer =
                Cell { what: "produce".into(), who: "blocking-batch".into(), tuned: true, threads: 1, ..cell.clone() };
            eprintln!("filling {}", cell.topic());
            crate::ours::produce(&writer, bootstrap, records(cell, asked) * 5 / 4)?;
        }
    }
    Ok(kafka.close().wait()?)
}
