//! What one consumer shares between its handles and the driver: fetched chunks, a gate and two cursors per partition,
//! and what each side has to tell the other. One lock, held for short work: records are verified and decompressed
//! outside of it.

mod acks;
mod chunk;
mod intake;
mod lane;
mod lent;
mod memory;
mod portion;
mod report;
mod streams;
mod take;
mod tenure;
mod wait;
mod wish;

pub(crate) use chunk::{Origin, Piece, Source, Tools};
pub(crate) use lane::Place;
pub(crate) use portion::{Asking, News, Portion, Taken};
pub(crate) use report::Report;
pub(crate) use streams::Given;
pub(crate) use tenure::Hold;
pub(crate) use wish::Entry;

use super::op::{OpSetter, OpSlot, op_slot};
use super::{Front, locked};
use crate::consumer::interceptor::Interceptors;
use crate::front::sync::Mutex;
use crate::front::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use chunk::Shelved;
use klamm_core::client::{CloseConsumer, Command, GroupMeta, SeekTo, TopicPartition};
use klamm_core::config::{AutoCommit, ConsumerConfig};
use klamm_core::record::{IsolationLevel, ReadLimits};
use klamm_core::{ConsumerIx, Error, ErrorKind, OpId, PartitionIx, Time};
use lane::Lane;
use memory::Home;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use streams::Streams;
use wait::Waiter;
use wish::Wish;

/// One thing for the core, in the order of the calls.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) op: OpId,
    pub(crate) setter: Option<OpSetter>,
    pub(crate) command: Command,
}

/// What the lock guards.
#[derive(Debug, Default)]
struct State {
    lanes: BTreeMap<PartitionIx, Lane>,
    by_name: BTreeMap<TopicPartition, PartitionIx>,
    /// Lanes with something to hand out, in turn. May name lanes that are no longer ready.
    line: VecDeque<PartitionIx>,
    /// Lanes whose cursors moved since the last poll began.
    moved: Vec<PartitionIx>,
    wish: Wish,
    /// The assignment that the application has not seen.
    unapplied: Option<u64>,
    news: News,
    errors: VecDeque<Error>,
    /// Commands without an operation of the application, whose failure the next poll returns.
    watched: Vec<Arc<OpSlot>>,
    group: GroupMeta,
    main: Waiter,
    streams: Option<Streams>,
    wakeup: bool,
    /// The consumer is closed, or the client: polls end.
    closed: bool,
    /// The driver is gone.
    dead: Option<Error>,
    outgoing: Vec<Outgoing>,
    /// The core has to hear the levels although it did not ask.
    report: bool,
    /// The main poll of now cannot tell news.
    silent: bool,
    /// Partitions that are being revoked.
    revocations: usize,
    /// It fell out of its group and joins again when the application polls.
    fallen: bool,
    tenures: u64,
    ids: u64,
    /// Failures of commits whose outcome nobody looked at.
    unseen: Option<Error>,
    /// Why the last automatic commit failed, if it did: a later one that succeeds makes good for it.
    uncommitted: Option<Error>,
    orphans: Vec<Arc<OpSlot>>,
}

/// What is dropped once the lock is released: it goes home, or belongs to the application.
#[derive(Debug, Default)]
struct Trash {
    chunks: Vec<VecDeque<Box<Shelved>>>,
    credits: Vec<memory::Credit>,
    frames: Vec<Arc<memory::Buffer>>,
    pieces: Vec<Piece>,
    wakers: Vec<Waker>,
}

/// What of a consumer's configuration counts here.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) max_poll_records: u32,
    pub(crate) acked: bool,
    pub(crate) commits: bool,
    /// Batches hold their partitions.
    pub(crate) holds: bool,
    /// A poll that brings new partitions returns before any record of them.
    pub(crate) assigned_first: bool,
    pub(crate) committed_only: bool,
    limits: ReadLimits,
}

impl Settings {
    fn new(config: &ConsumerConfig) -> Self {
        let committed_only = config.isolation_level == klamm_core::config::IsolationLevel::ReadCommitted;
        let isolation = if committed_only { IsolationLevel::ReadCommitted } else { IsolationLevel::ReadUncommitted };
        Self {
            max_poll_records: u32::try_from(config.max_poll_records).unwrap_or(u32::MAX),
            acked: matches!(config.auto_commit, AutoCommit::Acked(_)),
            commits: config.group_id.is_some() && config.auto_commit != AutoCommit::Off,
            holds: config.rebalance_waits_for_batches,
            assigned_first: config.rebalance_assigned_first,
            committed_only,
            limits: ReadLimits { isolation, check_crcs: config.check_crcs, max_plain: config.decompressed_max_bytes },
        }
    }
}

/// The shelf of one consumer.
pub(crate) struct Shelf {
    pub(crate) ix: ConsumerIx,
    pub(crate) config: Arc<ConsumerConfig>,
    pub(crate) settings: Settings,
    pub(crate) interceptors: Option<Box<Interceptors>>,
    pub(crate) front: Arc<Front>,
    home: Arc<Home>,
    /// The driver has something to fetch here.
    dirty: AtomicBool,
    /// The earliest end of a waiting poll, in ns; `u64::MAX` without.
    deadline: AtomicU64,
    /// The driver looks at `deadline` again no later than this.
    armed: AtomicU64,
    /// Counts whoever works on the state: a batch that is lent is read on only while nobody did.
    touched: AtomicU64,
    /// When the last record of a lent batch was handed out, in ns.
    handed: AtomicU64,
    state: Mutex<State>,
}

impl Shelf {
    /// # Errors
    /// If an interceptor of the configuration is none.
    pub(crate) fn new(ix: ConsumerIx, config: Arc<ConsumerConfig>, front: Arc<Front>) -> Result<Arc<Self>, Error> {
        let interceptors = Interceptors::new(&config.interceptors)?;
        Ok(Arc::new(Self {
            ix,
            interceptors,
            settings: Settings::new(&config),
            config,
            home: Home::new(front.clone()),
            front,
            dirty: AtomicBool::new(false),
            deadline: AtomicU64::new(u64::MAX),
            armed: AtomicU64::new(u64::MAX),
            touched: AtomicU64::new(0),
            handed: AtomicU64::new(0),
            state: Mutex::default(),
        }))
    }

    /// Works on the state; afterwards, without the lock, drops what came loose, wakes whom it concerns and tells the
    /// driver if there is something for it.
    fn with<R>(&self, work: impl FnOnce(&mut State, &mut Trash) -> R) -> R {
        let mut trash = Trash::default();
        let (result, tell, sooner) = {
            let mut state = locked(&self.state);
            self.touched.fetch_add(1, Ordering::AcqRel);
            let result = work(&mut state, &mut trash);
            let tell = !state.outgoing.is_empty() || state.report;
            let deadline = state.deadline();
            // The driver is woken for a wait that ends before it looks here again.
            let sooner = self.deadline.swap(deadline, Ordering::SeqCst) != deadline
                && deadline < self.armed.load(Ordering::SeqCst);
            (result, tell && !self.dirty.swap(true, Ordering::AcqRel), sooner)
        };
        if tell || sooner {
            self.front.signal.notify();
        }
        drop(trash.chunks);
        drop(trash.credits);
        drop(trash.frames);
        drop(trash.pieces);
        trash.wakers.into_iter().for_each(Waker::wake);
        result
    }

    /// Starts an operation of the core, behind everything that was asked before.
    pub(crate) fn start(&self, command: Command) -> (OpId, Arc<OpSlot>) {
        let op = self.front.op();
        let (setter, slot) = op_slot();
        let refused = match self.front.check_process() {
            Ok(()) => self.with(|state, _| match state.refusal() {
                None => {
                    state.outgoing.push(Outgoing { op, setter: Some(setter), command });
                    None
                }
                Some(error) => Some((setter, error)),
            }),
            Err(error) => Some((setter, error)),
        };
        if let Some((setter, error)) = refused {
            setter.set(Err(error));
        }
        (op, slot)
    }

    /// Limits a running operation.
    pub(crate) fn limit(&self, op: OpId, limit: std::time::Duration) {
        let at = self.front.clock.now().mono + limit;
        self.with(|state, _| state.outgoing.push(Outgoing { op, setter: None, command: Command::Deadline(at) }));
    }

    /// The running or the next poll ends without a batch (contracts C-6).
    pub(crate) fn wakeup(&self) {
        self.with(|state, trash| {
            state.wakeup = true;
            trash.wakers.extend(state.main.wake());
        });
    }

    /// Polls end from now on; the application is not told of records any more.
    pub(crate) fn close(&self) {
        self.with(|state, trash| {
            state.silent = true;
            state.came_back(self);
            state.closed = true;
            for lane in state.lanes.values_mut() {
                trash.chunks.push(lane.clear());
            }
            state.wake_all(trash);
        });
    }

    /// The core ended the consumer, or the driver is gone.
    pub(crate) fn end(&self, error: Option<&Error>, wakers: &mut Vec<Waker>) {
        let (trash, outgoing) = {
            let mut state = locked(&self.state);
            self.touched.fetch_add(1, Ordering::AcqRel);
            let mut trash = Trash::default();
            state.closed |= error.is_none();
            state.dead = error.cloned();
            state.wake_all(&mut trash);
            state.by_name.clear();
            state.line.clear();
            trash.chunks.extend(std::mem::take(&mut state.lanes).into_values().map(|lane| lane.queue));
            self.deadline.store(u64::MAX, Ordering::Release);
            (trash, std::mem::take(&mut state.outgoing))
        };
        self.home.close();
        drop(trash.chunks);
        wakers.extend(trash.wakers);
        for one in outgoing {
            if let Some(setter) = one.setter {
                let closed = || Error::new(ErrorKind::Closed, "the consumer was closed");
                setter.set(Err(error.cloned().unwrap_or_else(closed)));
            }
        }
    }

    /// How a close goes unless the application says otherwise.
    pub(crate) fn usual_close(&self) -> CloseConsumer {
        CloseConsumer { commit: self.settings.commits, leave: None }
    }

    /// The failure of a commit that nobody looked at.
    pub(crate) fn take_unseen(&self) -> Option<Error> {
        self.with(|state, _| {
            state.sift_orphans();
            state.unseen.take().or_else(|| state.uncommitted.take())
        })
    }

    /// A commit's outcome will not be awaited.
    pub(crate) fn adopt(&self, slot: Arc<OpSlot>) {
        self.with(|state, _| {
            state.orphans.push(slot);
            state.sift_orphans();
        });
    }
}

impl State {
    /// Why nothing can be asked any more.
    fn refusal(&self) -> Option<Error> {
        match &self.dead {
            Some(error) => Some(error.clone()),
            None => self.closed.then(|| Error::new(ErrorKind::Closed, "the consumer was closed")),
        }
    }

    /// Something for the core that nobody waits for.
    fn tell(&mut self, front: &Front, command: Command) {
        self.outgoing.push(Outgoing { op: front.op(), setter: None, command });
    }

    fn lane_of(&mut self, tp: &TopicPartition) -> Option<&mut Lane> {
        let ix = self.by_name.get(tp)?;
        self.lanes.get_mut(ix)
    }

    fn wake_all(&mut self, trash: &mut Trash) {
        trash.wakers.extend(self.main.wake());
        for lane in self.lanes.values_mut() {
            if let lane::Reader::Stream(waiter) = &mut lane.reader {
                trash.wakers.extend(waiter.wake());
            }
        }
    }

    /// A lane that has something now stands in line; its reader is woken.
    fn offer(&mut self, ix: PartitionIx, trash: &mut Trash) {
        let Some(lane) = self.lanes.get_mut(&ix) else { return };
        if !lane.is_open() || !lane.has_data() {
            return;
        }
        match &mut lane.reader {
            lane::Reader::Main => {
                if !std::mem::replace(&mut lane.queued, true) {
                    self.line.push_back(ix);
                }
                trash.wakers.extend(self.main.wake());
            }
            lane::Reader::Stream(waiter) => trash.wakers.extend(waiter.wake()),
            lane::Reader::Waiting(_) => {}
        }
    }

    /// The earliest end of a wait, in ns.
    fn deadline(&self) -> u64 {
        let streams = self.streams.as_ref().map(|streams| streams.deadline(&self.lanes));
        let until = self.main.until.into_iter().chain(streams.flatten()).min();
        until.map_or(u64::MAX, |at: Time| at.0)
    }

    fn sift_orphans(&mut self) {
        let mut cx = std::task::Context::from_waker(Waker::noop());
        let unseen = &mut self.unseen;
        self.orphans.retain(|slot| match slot.poll(&mut cx) {
            std::task::Poll::Ready(result) => {
                if let Err(error) = result {
                    unseen.get_or_insert(error);
                }
                false
            }
            std::task::Poll::Pending => true,
        });
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").field("ix", &self.ix).finish_non_exhaustive()
    }
}

/// The seeks and pauses that an application asked for before its assignment was known.
type Sought = BTreeMap<TopicPartition, (u32, SeekTo)>;
/// The partitions that the application paused.
type Paused = BTreeSet<TopicPartition>;
