//! Idempotent producers on the three runtimes.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use klamm::{Deliveries, ErrorKind, Record};
use klamm_live::Runtime;
use klamm_live::chaos::{Told, value};

use super::{BOUND, PARTITIONS, Run};
use crate::client::connect_with;

/// What a sender was told.
pub(super) struct Sent {
    pub(super) name: String,
    pub(super) told: Vec<Told>,
    /// Of the topic that is created anew, where an acknowledgement does not last.
    pub(super) fleeting: Vec<Told>,
    /// The longest time without an acknowledgement.
    pub(super) stall: Duration,
}

/// How many lots may wait for their acknowledgement.
const WAITING: usize = 40;

/// Sends until it is over, and waits for every outcome.
pub(super) async fn send_on(run: &Run<'_>, runtime: Runtime) -> Result<Sent> {
    let name = format!("{runtime:?}");
    let kafka = connect_with(run.config().client_id(&name), runtime).await?;
    let producer = kafka.producer()?;
    let (mut told, mut fleeting, mut stall, mut last) = (Vec::new(), Vec::new(), Duration::ZERO, Instant::now());
    let mut waiting: VecDeque<(Deliveries, Option<Deliveries>)> = VecDeque::new();
    let (mut number, mut brief) = (0, 0);
    while !run.is_over() || !waiting.is_empty() {
        if !run.is_over() {
            let values: Vec<String> = (number..number + 12).map(|n| value(&name, n)).collect();
            let lot = values.iter().zip(number..).map(|(text, n)| {
                Record::to(run.topic.as_str()).partition((n % PARTITIONS as usize) as i32).value(text)
            });
            let lot = producer.send_batch(lot);
            number += values.len();
            // One record to the fleeting topic with every second lot.
            let text = value(&name, brief);
            let other = (number % 24 == 0).then(|| {
                let record = Record::to(run.fleeting.as_str()).partition((brief % 2) as i32).value(&text);
                brief += 1;
                producer.send_batch([record])
            });
            waiting.push_back((lot, other));
            thread::sleep(Duration::from_millis(30));
        }
        if waiting.len() < WAITING && !run.is_over() {
            continue;
        }
        let Some((lot, other)) = waiting.pop_front() else { break };
        for delivery in lot.iter() {
            let outcome = delivery.await;
            let outcome = match outcome {
                Ok(_) => {
                    stall = stall.max(last.elapsed());
                    last = Instant::now();
                    Told::Acknowledged
                }
                Err(error) => {
                    run.note(format!("{name}: a record: {error}"));
                    ensure!(!error.is_fatal() && error.kind() != ErrorKind::Closed, "{error:?}");
                    if error.possibly_written() { Told::InDoubt } else { Told::NotWritten }
                }
            };
            told.push(outcome);
        }
        if let Some(other) = other {
            for delivery in other.iter() {
                fleeting.push(match delivery.await {
                    Err(error) if !error.possibly_written() => Told::NotWritten,
                    _ => Told::InDoubt,
                });
            }
        }
        ensure!(last.elapsed() < 3 * BOUND, "{name}: nothing was acknowledged for {:?}", last.elapsed());
    }
    ensure!(told.len() == number && fleeting.len() == brief, "{} outcomes of {number} records", told.len());
    kafka.close().await?;
    Ok(Sent { name, told, fleeting, stall })
}
