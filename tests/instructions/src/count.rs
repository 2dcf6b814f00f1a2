//! Runs the work under callgrind and compares with the bounds.

use std::error::Error;
use std::process::{Command, ExitCode, Stdio};

/// The bounds: a way, the bytes of a value, the most instructions per record.
const BUDGET: &str = include_str!("../budget.txt");
/// Values of so many bytes are counted per cell.
const BYTES: usize = 16 << 20;
/// So far below its bound a cell's bound is out of date, in percent.
const SLACK: u64 = 25;

struct Cell {
    how: &'static str,
    size: usize,
    most: u64,
}

fn cells() -> impl Iterator<Item = Cell> {
    BUDGET.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut parts = line.split('|').map(str::trim);
        let (how, size, most) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Cell { how, size: size.parse().ok()?, most: most.parse().ok()? })
    })
}

/// Counts every cell and prints the table. With `check`, fails if one is above its bound; without valgrind it says so.
pub(crate) fn table(check: bool) -> Result<ExitCode, Box<dyn Error>> {
    let found = Command::new("valgrind").arg("--version").stderr(Stdio::null()).output();
    let Ok(version) = found.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned()) else {
        println!("skipped: valgrind is not installed here, so no instructions are counted");
        return Ok(ExitCode::SUCCESS);
    };
    println!("{version}\n\n| way | bytes | instructions per record | bound |\n|---|---|---|---|");
    let mut over = 0;
    for cell in cells() {
        let count = count(&cell)?;
        let note = match count {
            count if count > cell.most => {
                over += 1;
                ": **above it**"
            }
            count if count * 100 < cell.most * (100 - SLACK) => ": could be lower",
            _ => "",
        };
        println!("| {} | {} | {count} | {}{note} |", cell.how, cell.size, cell.most);
    }
    if check && over > 0 {
        println!(
            "\n{over} above their bounds: see what grew with callgrind_annotate, or raise tests/instructions/budget.txt"
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn count(cell: &Cell) -> Result<u64, Box<dyn Error>> {
    let out = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .args(["--toggle-collect=klamm_instructions::inside", "--toggle-collect=klamm_instructions::outside"])
        .arg(std::env::current_exe()?)
        .args(["run", cell.how, &cell.size.to_string(), &(BYTES / cell.size).to_string()])
        .output()?;
    let (said, told) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    let number = |text: &str| text.split_whitespace().find_map(|word| word.parse::<u64>().ok());
    let records = said.lines().find(|line| line.ends_with(" records")).and_then(number);
    let collected = told.lines().find_map(|line| line.split_once("Collected : ")).and_then(|(_, n)| number(n));
    match (records, collected) {
        (Some(records), Some(collected)) if out.status.success() && records > 0 => Ok(collected / records),
        _ => Err(format!("{} of {} bytes: {}\n{told}", cell.how, cell.size, out.status).into()),
    }
}
