//! Fetch sessions of one broker (broker-data 6.22 to 6.26).

use klamm_core::wire::Uuid;
use klamm_core::wire::messages::fetch::{FetchPartition, FetchRequest};
use klamm_core::{ErrorCode, Time};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many sessions a broker keeps (`max.incremental.fetch.session.cache.slots`).
const SLOTS: usize = 1000;
/// How long a session is safe from eviction.
const SAFE: Duration = Duration::from_secs(120);

/// One partition that is fetched, in a session or without.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Its topic's name; `None` while an id is unknown (6.26).
    pub(crate) topic: Option<String>,
    pub(crate) id: Uuid,
    pub(crate) index: i32,
    pub(crate) offset: i64,
    pub(crate) max_bytes: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
    /// What the client was told last, to tell it only what changed (6.24).
    pub(crate) told: Option<Told>,
}

/// See [`Item::told`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) high_watermark: i64,
    pub(crate) log_start: i64,
    pub(crate) failed: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The epoch of the next incremental request.
    pub(crate) epoch: i32,
    uses_ids: bool,
    used: Time,
    pub(crate) items: Vec<Item>,
}

/// The sessions of one broker, gone when it restarts.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_id: BTreeMap<i32, Session>,
}

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// All partitions, no session.
    Sessionless,
    /// All partitions, in a new session.
    Full(i32),
    /// What changed in a session.
    Incremental(i32),
}

impl Context {
    pub(crate) fn session(self) -> i32 {
        match self {
            Self::Sessionless => 0,
            Self::Full(id) | Self::Incremental(id) => id,
        }
    }
}

fn items(request: &FetchRequest, name_of: impl Fn(Uuid) -> Option<String>, uses_ids: bool) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for topic in &request.topics {
        let name = if uses_ids { name_of(topic.topic_id) } else { Some(topic.topic.clone()) };
        for p in &topic.partitions {
            let item = item(name.clone(), topic.topic_id, p);
            // The same partition twice: only the last one counts.
            items.retain(|other| !other.is(&item));
            items.push(item);
        }
    }
    items
}

fn item(topic: Option<String>, id: Uuid, p: &FetchPartition) -> Item {
    Item {
        topic,
        id,
        index: p.partition,
        offset: p.fetch_offset,
        max_bytes: p.partition_max_bytes,
        leader_epoch: p.current_leader_epoch,
        last_fetched_epoch: p.last_fetched_epoch,
        told: None,
    }
}

impl Item {
    fn is(&self, other: &Self) -> bool {
        self.index == other.index && self.id == other.id && (!self.id.is_zero() || self.topic == other.topic)
    }
}

fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

impl Sessions {
    pub(crate) fn get_mut(&mut self, id: i32) -> Option<&mut Session> {
        self.by_id.get_mut(&id)
    }

    /// Finds out what a request asks for; `new_id` draws the id of a new session.
    pub(crate) fn open(
        &mut self,
        request: &FetchRequest,
        version: i16,
        now: Time,
        name_of: impl Fn(Uuid) -> Option<String>,
        new_id: impl FnMut() -> i32,
    ) -> Result<(Context, Vec<Item>), ErrorCode> {
        let uses_ids = version >= 13;
        let (id, epoch) = (request.session_id, request.session_epoch);
        if epoch <= 0 {
            self.by_id.remove(&id);
            let items = items(request, name_of, uses_ids);
            if epoch != 0 || version < 7 {
                return Ok((Context::Sessionless, items));
            }
            let context = match self.insert(uses_ids, &items, now, new_id) {
                Some(id) => Context::Full(id),
                None => Context::Sessionless,
            };
            return Ok((context, items));
        }
        let session = self.by_id.get_mut(&id).ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        // 6.22: after 71 and 106 the session lives on unchanged.
        if session.uses_ids != uses_ids {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        if session.epoch != epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        session.used = now;
        session.epoch = next_epoch(epoch);
        session.update(items(request, &name_of, uses_ids));
        for topic in &request.forgotten_topics_data {
            let same = |item: &Item| {
                if uses_ids { item.id == topic.topic_id } else { item.topic.as_deref() == Some(&topic.topic) }
            };
            session.items.retain(|item| !(same(item) && topic.partitions.contains(&item.index)));
        }
        // 6.26: an unknown id stays, and resolves once it is known.
        for item in session.items.iter_mut().filter(|item| item.topic.is_none()) {
            item.topic = name_of(item.id);
        }
        let items = session.items.clone();
        if items.is_empty() {
            // 6.23: removing the last partition closes the session.
            self.by_id.remove(&id);
            return Ok((Context::Sessionless, items));
        }
        Ok((Context::Incremental(id), items))
    }

    fn insert(&mut self, uses_ids: bool, items: &[Item], now: Time, mut new_id: impl FnMut() -> i32) -> Option<i32> {
        if self.by_id.len() >= SLOTS {
            let oldest = self.by_id.iter().min_by_key(|(_, s)| s.used).map(|(id, s)| (*id, s.used));
            let (id, _) = oldest.filter(|(_, used)| now.since(*used) > SAFE)?;
            self.by_id.remove(&id);
        }
        let id = std::iter::repeat_with(&mut new_id).find(|id| *id > 0 && !self.by_id.contains_key(id))?;
        self.by_id.insert(id, Session { epoch: 1, uses_ids, used: now, items: items.to_vec() });
        Some(id)
    }
}

impl Session {
    /// 6.23: partitions that are listed are added or updated, the others stay as they are.
    fn update(&mut self, items: Vec<Item>) {
        for item in items {
            match self.items.iter_mut().find(|old| old.is(&item)) {
                Some(old) => {
                    old.offset = item.offset;
                    old.max_bytes = item.max_bytes;
                    old.leader_epoch = item.leader_epoch;
                    old.last_fetched_epoch = item.last_fetched_epoch;
                }
                None => self.items.push(item),
            }
        }
    }

    /// Notes what the client is told of a partition; one that returned data moves to the back (6.25).
    pub(crate) fn told(&mut self, item: &Item, told: Told, has_records: bool) {
        if let Some(at) = self.items.iter().position(|old| old.is(item)) {
            self.items[at].told = Some(told);
            if has_records {
                let item = self.items.remove(at);
                self.items.push(item);
            }
        }
    }
}
