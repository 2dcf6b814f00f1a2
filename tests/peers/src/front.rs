//! The front half alone, its batches acknowledged on the spot: for callgrind, which needs no sockets.

use crate::Failure;
use klamm::config::ProducerConfig;
use klamm::internal::Looped;
use klamm::{Receipts, Record};
use std::hint::black_box;

/// Sends `records` records of `size` bytes and prints what one cost.
pub fn front(how: &str, size: usize, records: u64) -> Result<(), Failure> {
    let mut rig = Looped::new(&ProducerConfig::new().batch_size(65_536), 4)?;
    let topic = rig.producer().topic("t");
    let values: Vec<Vec<u8>> = (0..64u8).map(|n| vec![n; size]).collect();
    let mut receipts = Receipts::new();
    let usage = crate::usage::Usage::now();
    if how == "batch" {
        for _ in 0..records / 100 {
            let all = values.iter().cycle().take(100).map(|value| Record::to(&topic).value(value));
            drop(black_box(rig.producer().send_batch(all)));
            rig.turn();
        }
    } else {
        for (n, value) in (0..records).zip(values.iter().cycle()) {
            let record = Record::to(&topic).value(value);
            match how {
                "send" => drop(black_box(rig.producer().send(record))),
                "receipts" => rig.producer().send_to(&mut receipts, record),
                "keyed" => {
                    let key = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
                    rig.producer().send_to(&mut receipts, record.key(&key));
                }
                _ => return Err("send, receipts, keyed or batch".into()),
            }
            if n % 256 == 0 {
                rig.turn();
            }
            if n % 4096 == 0 {
                black_box(receipts.drain().count());
            }
        }
    }
    println!("{:.1} ns per record", usage.cost(records).cpu);
    Ok(())
}
