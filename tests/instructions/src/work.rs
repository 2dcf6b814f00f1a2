//! What is counted: the application's loop and the driver's turns, without the brokers and the copies that a kernel makes.

use crate::inside;
use crate::world::{PARTITIONS, TOPIC, World};
use bytes::Bytes;
use klamm::{
    Batch, Config, Consumer, ConsumerConfig, Delivery, Kafka, Op, Producer, ProducerConfig, Receipts, Record, Topic,
};
use klamm_core::record::{BodyBuf, Stamp};
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Bytes of values between two turns of the driver: when `queued` yields on a runtime of one thread.
const STRETCH: usize = 256 * 1024;
/// Records of one call of the bulk form.
const BULK: usize = 100;
/// Bytes of a prepared batch.
const BATCH: usize = 100_000;

type Failure = Box<dyn std::error::Error>;

/// What is done with each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// `send`, a `Delivery` kept for each and looked at.
    Send,
    /// `send` by the topic's name.
    Name,
    /// `send_to`.
    SendTo,
    /// `send_to` with keys of 8 bytes.
    Keyed,
    /// `send_batch` of 100.
    SendBatch,
    /// `poll`, 500 records at a time.
    Poll,
    /// `recv`, one at a time.
    Recv,
}

impl How {
    /// By the name that a cell has in the tables.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "send" => Self::Send,
            "send by name" => Self::Name,
            "send_to" => Self::SendTo,
            "send_to keyed" => Self::Keyed,
            "send_batch" => Self::SendBatch,
            "poll" => Self::Poll,
            "recv" => Self::Recv,
            _ => return None,
        })
    }
}

fn values(size: usize) -> Vec<Vec<u8>> {
    (0..64u8).map(|n| (0..size).map(|at| n.wrapping_mul(31).wrapping_add(at as u8)).collect()).collect()
}

/// Turns the world until the operation is done.
fn done<T>(world: &World, op: Op<T>) -> klamm::Result<T> {
    let mut op = pin!(op);
    loop {
        if let Poll::Ready(result) = op.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return result;
        }
        step(world);
    }
}

fn step(world: &World) {
    world.turn();
    world.serve();
    world.advance(Duration::from_millis(1));
}

/// Handles `records` records of `size` bytes, an eighth more before that to warm up; only the former are counted.
pub(crate) fn run(how: How, size: usize, records: usize) -> Result<(), Failure> {
    match how {
        How::Poll | How::Recv => consume(how, size, records),
        _ => produce(how, size, records),
    }
}

fn produce(how: How, size: usize, records: usize) -> Result<(), Failure> {
    let world = World::new(None);
    let config = Config::new("127.0.0.1:9092").producer(ProducerConfig::new());
    let kafka = Kafka::connect_lazy(&world, config)?;
    let producer = kafka.producer()?;
    let topic = producer.topic(TOPIC);
    done(&world, topic.ready())?;
    let values = values(size);
    let stretch = (STRETCH / size / BULK).max(1) * BULK;
    let mut sender = Sender { how, producer, topic, values, receipts: Receipts::new(), kept: Vec::new(), seen: 0 };
    // Deliveries of two stretches are kept at most: nothing grows later.
    sender.kept.reserve(2 * stretch + BULK);
    let mut sent = 0;
    for (counted, stretches) in [(false, (records / stretch / 8).max(4)), (true, (records / stretch).max(1))] {
        for _ in 0..stretches {
            let mut turn = || {
                sender.stretch(sent, stretch);
                world.turn();
            };
            if counted {
                inside(&mut turn)
            } else {
                turn()
            }
            sent += stretch;
            world.serve();
            world.advance(Duration::from_micros(100));
            let mut look = || {
                world.turn();
                sender.look()
            };
            if counted { inside(&mut look)? } else { look()? }
        }
        if counted {
            println!("{} records", stretches * stretch);
        }
    }
    done(&world, sender.producer.flush())?;
    sender.look()?;
    if sender.seen != sent { Err(format!("{} of {sent} outcomes", sender.seen).into()) } else { Ok(()) }
}

struct Sender {
    how: How,
    producer: Producer,
    topic: Topic,
    values: Vec<Vec<u8>>,
    receipts: Receipts,
    kept: Vec<Delivery>,
    seen: usize,
}

impl Sender {
    fn stretch(&mut self, from: usize, count: usize) {
        let Self { producer, topic, receipts, kept, .. } = self;
        let topic = &*topic;
        let values = self.values.iter().cycle().take(count);
        match self.how {
            How::Send => values.for_each(|value| kept.push(producer.send(Record::to(topic).value(value)))),
            How::Name => values.for_each(|value| kept.push(producer.send(Record::to(TOPIC).value(value)))),
            How::SendTo => values.for_each(|value| producer.send_to(receipts, Record::to(topic).value(value))),
            How::Keyed => {
                for (n, value) in (from as u64..).zip(values) {
                    let key = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
                    producer.send_to(receipts, Record::to(topic).key(&key).value(value));
                }
            }
            _ => {
                let mut records = values.map(|value| Record::to(topic).value(value));
                for _ in 0..count / BULK {
                    let sent = producer.send_batch(records.by_ref().take(BULK));
                    kept.extend(sent.get(BULK - 1));
                    black_box(sent);
                }
            }
        }
    }

    /// Looks at the outcomes that are known.
    fn look(&mut self) -> klamm::Result<()> {
        for receipt in self.receipts.drain() {
            receipt.result().map_err(Clone::clone)?;
            self.seen += usize::try_from(receipt.numbers().end - receipt.numbers().start).unwrap_or(0);
        }
        let ready = self.kept.iter().take_while(|delivery| delivery.is_ready()).count();
        for delivery in self.kept.drain(..ready) {
            if let Some(outcome) = delivery.try_result() {
                outcome?;
                self.seen += if self.how == How::SendBatch { BULK } else { 1 };
            }
        }
        Ok(())
    }
}

fn prepared(size: usize) -> Bytes {
    let mut body = BodyBuf::with_limit(BATCH);
    for value in values(size).iter().cycle() {
        if body.append(1_700_000_000_000, None, Some(value), &[]).is_none() {
            break;
        }
    }
    let head = body.facts().header(Stamp::NONE, false);
    [&head[..], body.plain()].concat().into()
}

/// One look at a future that may not be ready.
fn once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn consume(how: How, size: usize, records: usize) -> Result<(), Failure> {
    let world = World::new(Some(prepared(size)));
    let section = ConsumerConfig::standalone().set("auto.offset.reset", "earliest");
    let kafka = Kafka::connect_lazy(&world, Config::new("127.0.0.1:9092").consumer(section))?;
    let mut consumer = kafka.standalone_consumer()?;
    consumer.assign((0..PARTITIONS).map(|partition| (TOPIC, partition)))?;
    let (mut seen, mut bytes) = (0, 0);
    for (counted, wanted) in [(false, records / 8), (true, records)] {
        let (mut tally, mut idle) = ((0, 0), 0);
        while tally.0 < wanted {
            let before = tally.0;
            let mut turn = || {
                read(&mut consumer, how, &mut tally)?;
                world.turn();
                Ok::<_, klamm::Error>(())
            };
            if counted {
                inside(&mut turn)?
            } else {
                turn()?
            }
            world.serve();
            world.advance(Duration::from_micros(100));
            if counted {
                inside(|| world.turn())
            } else {
                world.turn()
            };
            idle = if tally.0 == before { idle + 1 } else { 0 };
            if idle > 10_000 {
                return Err("nothing comes".into());
            }
        }
        seen += tally.0;
        bytes += tally.1;
        if counted {
            println!("{} records", tally.0);
        }
    }
    if bytes != seen * size { Err(format!("{bytes} bytes in {seen} records").into()) } else { Ok(()) }
}

/// Reads what is there.
fn read(consumer: &mut Consumer, how: How, tally: &mut (usize, usize)) -> klamm::Result<()> {
    if how == How::Recv {
        while let Some(record) = once(consumer.recv()) {
            let Some(record) = record? else { return Ok(()) };
            tally.0 += 1;
            tally.1 += record.value().map_or(0, <[u8]>::len);
        }
        return Ok(());
    }
    while let Some(batch) = once(consumer.poll(Duration::from_secs(1))) {
        let batch: Option<Batch> = batch?;
        for record in batch.iter().flat_map(Batch::iter) {
            tally.0 += 1;
            tally.1 += record.value().map_or(0, <[u8]>::len);
        }
    }
    Ok(())
}
