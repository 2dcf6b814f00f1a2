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
    let profile = std::env::temp_dir().join(format!("klamm-instructions.{}", std::process::id()));
    let out = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .args(["--toggle-collect=klamm_instructions::inside", "--toggle-collect=klamm_instructions::outside"])
        .arg(std::env::current_exe()?)
        .args(["run", cell.how, &cell.size.to_string(), &(BYTES / cell.size).to_string()])
        .output()?;
    let (said, told) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    let number = |text: &str| text.split_whitespace().find_map(|word| word.parse::<u64>().ok());
    let records = said.lines().find(|line| line.ends_with(" records")).and_then(number);
    let collected = told.lines().find_map(|line| line.split_once("Collected : ")).and_then(|(_, n)| number(n));
    let outside = std::fs::read_to_string(&profile).map(|profile| outside(&profile));
    let _ = std::fs::remove_file(&profile);
    match (records, collected) {
        (Some(records), Some(collected)) if out.status.success() && records > 0 => {
            Ok(collected.saturating_sub(outside?) / records)
        }
        _ => Err(format!("{} of {} bytes: {}\n{told}", cell.how, cell.size, out.status).into()),
    }
}

/// What callgrind 3.19 counts of `outside` although it is told not to: what the C library does for it, the copies to and from
/// the sockets of this world.
fn outside(profile: &str) -> u64 {
    const NAME: &str = "klamm_instructions::outside";
    // A function's name stands behind its number where the number comes first.
    let mut numbers = Vec::new();
    let (mut sum, mut into, mut called) = (0, false, false);
    for line in profile.lines() {
        if let Some(named) = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn=")) {
            let (of, name) = named.split_once(' ').unwrap_or((named, ""));
            if name == NAME {
                numbers.push(of);
            }
            into = line.starts_with('c') && numbers.contains(&of);
        } else if line.starts_with("calls=") {
            called = into;
        } else if std::mem::take(&mut called) {
            sum += line.split(' ').next_back().and_then(|cost| cost.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::outside;

    #[test]
    fn only_calls_of_the_outside_are_summed() {
        let profile = "fn=(1) a\n12 30\ncfn=(2) klamm_instructions::outside\ncalls=3 40\n13 500\ncfn=(3) b\ncalls=1 7\n14 9\n\
                       fn=(2)\n40 6\nfn=(4) c\ncfn=(2)\ncalls=1 40\n+1 70\n+1 8\n";
        assert_eq!(outside(profile), 570);
    }
}
