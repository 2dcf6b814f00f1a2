//! Nanoseconds per record of `send` alone, its batches acknowledged on the spot (speed.md, section 2: 28 by call with
//! receipts, 40 with a handle per record, 9 in bulk).

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use klamm::config::ProducerConfig;
use klamm::internal::Looped;
use klamm::{Receipts, Record};

const RECORDS: usize = 10_000;

fn main() {
    divan::main();
}

fn rig() -> Looped {
    Looped::new(&ProducerConfig::new().batch_size(65_536), 1).expect("a valid section")
}

fn run(bencher: Bencher<'_, '_>, mut one: impl FnMut(&Looped, usize)) {
    let mut rig = rig();
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        for i in 0..RECORDS {
            one(&rig, i);
            if i % 256 == 0 {
                rig.turn();
            }
        }
    });
}

#[divan::bench(args = [100, 1024])]
fn send(bencher: Bencher<'_, '_>, size: usize) {
    let value = vec![7; size];
    let mut topic = None;
    run(bencher, |rig, _| {
        let topic = topic.get_or_insert_with(|| rig.producer().topic("t"));
        drop(black_box(rig.producer().send(Record::to(&*topic).value(&value))));
    });
}

#[divan::bench]
fn send_by_name(bencher: Bencher<'_, '_>) {
    let value = vec![7; 100];
    run(bencher, |rig, _| drop(black_box(rig.producer().send(Record::to("t").value(&value)))));
}

#[divan::bench]
fn send_keyed(bencher: Bencher<'_, '_>) {
    let value = vec![7; 100];
    run(bencher, |rig, i| {
        let key = (i as u64).to_le_bytes();
        drop(black_box(rig.producer().send(Record::to("t").key(&key).value(&value))));
    });
}

#[divan::bench(args = [100, 1024])]
fn send_to(bencher: Bencher<'_, '_>, size: usize) {
    let value = vec![7; size];
    let (mut topic, mut receipts) = (None, Receipts::new());
    run(bencher, |rig, i| {
        let topic = topic.get_or_insert_with(|| rig.producer().topic("t"));
        rig.producer().send_to(&mut receipts, Record::to(&*topic).value(&value));
        if i % 4096 == 0 {
            black_box(receipts.drain().count());
        }
    });
}

#[divan::bench]
fn send_batch_of_100(bencher: Bencher<'_, '_>) {
    let value = vec![7; 100];
    let mut rig = rig();
    let topic = rig.producer().topic("t");
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        for _ in 0..RECORDS / 100 {
            drop(black_box(rig.producer().send_batch((0..100).map(|_| Record::to(&topic).value(&value)))));
            rig.turn();
        }
    });
}
