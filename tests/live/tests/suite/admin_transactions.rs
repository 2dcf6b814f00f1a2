//! Transactions administered by klamm: described, listed, fenced, and one that hangs ended.

use crate::client::{LIMIT, connect, drive, take};
use crate::transactions::dialogue::Dialogue;
use crate::transactions::is_newest;
use anyhow::{Context, Result, ensure};
use klamm::admin::{AbortTransactionSpec, Admin, ConfigChange, ConfigResource, TransactionState};
use klamm::{ConsumerConfig, ErrorCode, ErrorKind, Record, TopicPartition};
use klamm_live::{Behaviour, Runtime, Target};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::of_klamm("transactions_are_listed_described_and_fenced", described).on(is_newest),
    // It changes a setting of the brokers: no other test may run meanwhile.
    Behaviour::of_klamm("a_transaction_that_hangs_is_found_and_aborted", hanging).on(is_newest).alone(),
];

fn described(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("txn-admin");
    let id = format!("id-of-{topic}");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let admin = kafka.admin();
        let mut producer = kafka.transactional_producer(&id).await?;
        let txn = producer.begin_transaction()?;
        txn.send(Record::to(&topic).partition(1).value("x")).await?;
        let one = admin.describe_transactions([&id]).await?.all()?.pop().context("no answer")?.1;
        ensure!(&*one.state == "Ongoing" && one.start.is_some() && one.producer_epoch >= 0, "{one:?}");
        ensure!(one.partitions == [TopicPartition::from((topic.as_str(), 1))], "{one:?}");
        let place = TopicPartition::from((topic.as_str(), 1));
        let known = admin.describe_producers([&place]).await?.all()?.pop().context("no answer")?.1;
        let of_mine: Vec<_> = known.iter().filter(|p| p.producer_id == one.producer_id).collect();
        let mine = of_mine.first().context("the partition does not know the producer")?;
        ensure!(mine.current_transaction_start == Some(0) && mine.last_sequence == Some(0), "{mine:?}");
        // Each filter keeps it, and each leaves it out.
        let list = || admin.list_transactions();
        let hour = Duration::from_secs(3600);
        for (listed, expected) in [
            (list().await?, true),
            (list().in_states([TransactionState::Ongoing]).await?, true),
            (list().in_states([TransactionState::CompleteAbort]).await?, false),
            (list().with_producer_ids([one.producer_id]).await?, true),
            (list().with_producer_ids([one.producer_id + 1_000_000]).await?, false),
            (list().open_for(Duration::ZERO).await?, true),
            (list().open_for(hour).await?, false),
            (list().matching(format!("{}.*", &id[..id.len() - 1])).await?, true),
            (list().matching(&id[..id.len() - 1]).await?, false),
        ] {
            let found = listed.iter().find(|listed| *listed.transactional_id == *id);
            ensure!(found.is_some() == expected, "{listed:?}");
            ensure!(found.is_none_or(|f| f.coordinator == one.coordinator), "{found:?}");
        }
        let fenced = admin.fence_producers([&id]).await?.all()?.pop().context("no answer")?.1;
        ensure!(fenced.producer_epoch > one.producer_epoch, "{fenced:?} after {one:?}");
        let error = txn.commit().await.err().context("a fenced producer committed")?;
        ensure!(error.kind() == ErrorKind::Fenced, "{error}");
        let unknown = admin.describe_transactions(["nobody-has-it"]).await?.all().err().context("it is known")?;
        ensure!(unknown.code() == Some(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND), "{unknown}");
        admin.force_terminate_transaction(&id).await?;
        Ok(kafka.close().await?)
    })
}

/// Whether leaders ask coordinators before they take records of version 1.
async fn verify(admin: &Admin, leader: i32, on: bool) -> Result<()> {
    let change = match on {
        true => ConfigChange::delete("transaction.partition.verification.enable"),
        false => ConfigChange::set("transaction.partition.verification.enable", false),
    };
    admin.incremental_alter_configs([(ConfigResource::broker(leader), vec![change])]).await?.all()?;
    Ok(())
}

fn hanging(target: &Target, runtime: Runtime) -> Result<()> {
    let mut d = Dialogue::with(target, "txn-hangs")?;
    let (topic, leader) = (d.topic.clone(), d.leaders[0]);
    let place = TopicPartition::from((topic.as_str(), 0));
    // An id that no coordinator gave away.
    let who = (4_711_000_000_000, 3);
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let admin = kafka.admin();
        verify(&admin, leader, false).await?;
        let begin = Instant::now();
        // The broker takes the change in a moment later.
        let written = loop {
            let (code, offset) = d.write(who, 0, 0, true, 11)?;
            if code.is_ok() || begin.elapsed() > LIMIT {
                break (code, offset);
            }
            thread::sleep(Duration::from_millis(50));
        };
        verify(&admin, leader, true).await?;
        ensure!(written == (ErrorCode::NONE, 0), "{written:?}");
        kafka.producer()?.send(Record::to(&topic).partition(0).value("behind it")).await?;
        ensure!(admin.list_transactions().with_producer_ids([who.0]).await?.is_empty(), "it is known");
        let held = d.read(0, 0)?;
        ensure!((held.0, held.1) == (2, 0), "{held:?}");

        let known = admin.describe_producers([&place]).await?.all()?.pop().context("no answer")?.1;
        let open: Vec<_> = known.iter().filter(|p| p.current_transaction_start.is_some()).collect();
        let [one] = open.as_slice() else { anyhow::bail!("{known:?}") };
        ensure!((one.producer_id, one.producer_epoch, one.coordinator_epoch) == (who.0, 3, None), "{one:?}");
        let early = AbortTransactionSpec::new(&place, who.0, 2, 0);
        let error = admin.abort_transaction(early).await.err().context("aborted with an epoch too low")?;
        ensure!(error.code() == Some(ErrorCode::INVALID_PRODUCER_EPOCH), "{error}");
        admin.abort_transaction(AbortTransactionSpec::of(&place, one).context("no spec")?).await?;

        let config = ConsumerConfig::standalone().set("auto.offset.reset", "earliest");
        let mut consumer = kafka.consumer_with(config.set("isolation.level", "read_committed"))?;
        consumer.assign([&place])?;
        let seen = take(&mut consumer, 1).await?;
        ensure!(seen[0].value.as_deref() == Some(b"behind it"), "{seen:?}");
        consumer.close().await?;
        // The others find the brokers as they were.
        let begin = Instant::now();
        let other = (who.0 + 1, 0);
        while d.write(other, 0, 0, true, 11)?.0.is_ok() {
            ensure!(begin.elapsed() < LIMIT, "records are still taken unseen");
            thread::sleep(Duration::from_millis(50));
        }
        Ok(kafka.close().await?)
    })
}
