//! Requests in wire form: each finds the broker that it is for, and no other.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use klamm::admin::NewTopic;
use klamm::{ErrorKind, Kafka, Route, TopicPartition};
use klamm_live::{Behaviour, Kind, Runtime, Target};

use crate::client::{LIMIT, connect, drive};

pub(crate) const BEHAVIOURS: &[Behaviour] =
    &[Behaviour::of_klamm("raw_requests_find_the_broker_that_they_are_for", routes)];

/// As many as have leaders on every node.
const PARTITIONS: i32 = 6;
const CREATE_TOPICS: i16 = 19;
const DESCRIBE_CONFIGS: i16 = 32;
const DESCRIBE_GROUPS: i16 = 15;
const DESCRIBE_LOG_DIRS: i16 = 35;
const INIT_PRODUCER_ID: i16 = 22;
const LIST_OFFSETS: i16 = 2;

/// A body in the forms from before KIP-482.
#[derive(Clone, Default)]
struct Body(Vec<u8>);

impl Body {
    fn i8(mut self, value: i8) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    fn i16(mut self, value: i16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    fn i32(mut self, value: i32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    fn i64(mut self, value: i64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    fn text(self, text: &str) -> Self {
        let mut this = self.i16(text.len().try_into().expect("a short text"));
        this.0.extend(text.as_bytes());
        this
    }
}

/// The error code of an answer; the first bytes of the answer are `skip` bytes of something else.
async fn code(kafka: &Kafka, to: Route, (api, version): (i16, i16), body: Body, skip: usize) -> Result<i16> {
    let answer = kafka.request_bytes(to, api, version, body.0.into()).await?;
    ensure!(answer.len() >= skip + 2, "an answer of {} bytes to {api}: {answer:?}", answer.len());
    Ok(i16::from_be_bytes([answer[skip], answer[skip + 1]]))
}

/// Asks until the coordinator has loaded its part of the log: a broker that has just become one says that it is none.
async fn coordinated(kafka: &Kafka, to: Route, api: (i16, i16), body: Body, skip: usize) -> Result<()> {
    let begin = Instant::now();
    loop {
        let answer = code(kafka, to.clone(), api, body.clone(), skip).await?;
        if answer == 0 {
            return Ok(());
        }
        ensure!((14..=16).contains(&answer) && begin.elapsed() < LIMIT, "{to:?}: {answer}");
        kafka.ping().await?;
        thread::sleep(Duration::from_millis(100));
    }
}

fn routes(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("raw");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        kafka.admin().create_topics([NewTopic::new(topic.as_str(), PARTITIONS, 1)]).await?.all()?;
        // Whoever answers: the version table of ApiVersions 0.
        ensure!(code(&kafka, Route::Any, (18, 0), Body::default(), 0).await? == 0);
        // A broker describes its own configuration only.
        for id in target.node_ids() {
            let id: i32 = id.try_into()?;
            let body = Body::default().i32(1).i8(4).text(&id.to_string()).i32(-1).i8(0);
            let code = code(&kafka, Route::Broker(id), (DESCRIBE_CONFIGS, 1), body, 8).await?;
            ensure!(code == 0, "broker {id} answers {code}");
        }
        let body = Body::default().i32(1).text("raw-created").i32(1).i16(1).i32(0).i32(0).i32(5_000).i8(1);
        let created = code(&kafka, Route::Controller, (CREATE_TOPICS, 2), body, 4 + 4 + 2 + 11).await?;
        ensure!(created == 0, "the controller answers {created}");
        // Several names, so that they are not all coordinated by the broker that happens to be asked.
        for n in 0..6 {
            let group = format!("raw-{n}");
            let body = Body::default().i32(1).text(&group);
            coordinated(&kafka, Route::Group(group), (DESCRIBE_GROUPS, 0), body, 4).await?;
        }
        if target.kind() != Kind::Memory {
            for n in 0..6 {
                let id = format!("raw-{n}");
                let body = Body::default().text(&id).i32(60_000);
                coordinated(&kafka, Route::TransactionalId(id), (INIT_PRODUCER_ID, 0), body, 4).await?;
            }
        }
        for partition in 0..PARTITIONS {
            let place = TopicPartition { topic: topic.as_str().into(), partition };
            let body = Body::default().i32(-1).i32(1).text(&topic).i32(1).i32(partition).i64(-1);
            let skip = 4 + 2 + topic.len() + 4 + 4;
            let code = code(&kafka, Route::Leader(place), (LIST_OFFSETS, 1), body, skip).await?;
            ensure!(code == 0, "partition {partition}: {code}");
        }
        // An API that klamm does not declare, in its flexible form: the header must be of that form too.
        if target.kind().is_real() && target.kind().is_modern() {
            let answer = kafka.request_bytes(Route::Any, DESCRIBE_LOG_DIRS, 2, vec![0, 0].into()).await?;
            ensure!(answer.len() > 20, "{answer:?}");
        }
        let unserved = kafka.request_bytes(Route::Any, 18, 999, Vec::new().into()).await;
        ensure!(matches!(&unserved, Err(error) if error.kind() == ErrorKind::Unsupported), "{unserved:?}");
        Ok(kafka.close().await?)
    })
}
