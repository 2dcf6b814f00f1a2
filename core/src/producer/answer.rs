//! What comes back for a Produce request, batch by batch.

use super::machine::Producer;
use super::outcome::{Answer, Known, Then, Verdict, outcome};
use super::report::culprit;
use super::request::{Item, Said, parse};
use super::split::{Means, halve};
use super::state::State;
use crate::client::role::{Cx, News, RequestError, Response};
use crate::client::{Event, Note, SplitPart};
use crate::config::Acks;
use crate::error::{Error, ErrorCode, ErrorKind};
use crate::{BrokerId, PartitionIx, Timestamp};

/// One batch's answer with its words.
struct Told<'a> {
    answer: Answer,
    said: Option<&'a Said>,
    error: Option<Error>,
}

impl Producer {
    pub(super) fn take_answer(
        &mut self,
        cx: &mut Cx<'_>,
        broker: BrokerId,
        token: u64,
        items: &[Item],
        result: Result<Response, RequestError>,
    ) {
        let silent = items
            .first()
            .and_then(|item| self.queues.get(&item.partition))
            .is_some_and(|queue| queue.terms.acks == Acks::Zero);
        let (answer, error) = match result {
            Ok(_) if silent => (Answer::Silent, None),
            Ok(response) => match parse(&response, items, cx.names) {
                Ok(parsed) => {
                    for (item, said) in items.iter().zip(&parsed.said) {
                        self.hint(cx, item.partition, said.as_ref(), &parsed.endpoints);
                        let told = match said {
                            Some(said) => {
                                let error = (!said.code.is_ok()).then(|| culprit(said.code, said.message.as_deref()));
                                Told { answer: Answer::Code(said.code, said.base_offset), said: Some(said), error }
                            }
                            None => {
                                let text = "the broker's answer leaves the partition out";
                                let error = Some(Error::new(ErrorKind::Corrupt, text));
                                Told { answer: Answer::Missing, said: None, error }
                            }
                        };
                        self.judge(cx, broker, token, item, &told);
                    }
                    let pause = u64::try_from(parsed.throttle_ms).unwrap_or(0);
                    cx.stats.producer(self.ix).throttle.add(std::time::Duration::from_millis(pause));
                    if parsed.throttle_ms > 0 {
                        cx.news.push(News::Throttled { ms: parsed.throttle_ms });
                    }
                    return;
                }
                // PR-05: nobody knows what an answer says that cannot be read.
                Err(error) => {
                    cx.news.push(News::Undecodable { error: error.clone() });
                    (Answer::Lost, Some(error))
                }
            },
            Err(RequestError::NotSent(error)) => (Answer::NotSent, Some(error)),
            Err(RequestError::Lost(error)) => (Answer::Lost, Some(error)),
        };
        self.hungry.remove(&broker);
        for item in items {
            self.judge(cx, broker, token, item, &Told { answer, said: None, error: error.clone() });
        }
    }

    /// A leader that the broker named goes to all roles at once (KIP-951).
    fn hint(&self, cx: &mut Cx<'_>, partition: PartitionIx, said: Option<&Said>, nodes: &[crate::metadata::Node]) {
        if let Some((leader, epoch)) = said.and_then(|said| said.leader) {
            let endpoint = nodes.iter().find(|node| node.id == leader).cloned();
            cx.news.push(News::Leader { partition, broker: leader, leader_epoch: epoch, endpoint });
        }
    }

    fn judge(&mut self, cx: &mut Cx<'_>, broker: BrokerId, token: u64, item: &Item, told: &Told<'_>) {
        let partition = item.partition;
        let Some(queue) = self.queues.get_mut(&partition) else { return };
        let Some(at) = queue.returned(token, item.no) else {
            // It was given up while it was under way; a late answer only frees the partition.
            self.settle(cx, partition);
            return;
        };
        let (mode, settling) = (queue.terms.mode, queue.state == State::Settling);
        let recodable = matches!(told.answer, Answer::Code(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, _))
            && queue
                .entry(at)
                .map(|entry| entry.batch.codec)
                .is_some_and(|codec| self.codec_after(item.place.0, partition, codec).is_some());
        let Some(queue) = self.queues.get_mut(&partition) else { return };
        let Some(entry) = queue.entry_mut(at) else { return };
        let known = Known {
            fate: entry.fate,
            refused_only: entry.refused_only,
            attempts: entry.attempts,
            count: entry.batch.count,
            oldest: at == 0,
            settling,
            recodable,
        };
        let mut verdict = outcome(mode, known, told.answer);
        if self.transaction.is_some() && matches!(verdict.then, Then::Restamp { .. } | Then::Fail { .. }) {
            // Only the end of the transaction brings a new epoch (contracts A3, A5).
            verdict.then = Then::Fail { renew: false };
        }
        entry.fate = verdict.fate;
        entry.refused_only = verdict.refused_only;
        if let Some(error) = &told.error {
            entry.last = Some((error.clone(), Some(broker)));
        }
        if told.answer == Answer::NotSent {
            entry.attempts = entry.attempts.saturating_sub(1);
        }
        if verdict.stale {
            let code = told.said.map_or(ErrorCode::NETWORK_EXCEPTION, |said| said.code);
            let leader_epoch = told.said.and_then(|said| said.leader).map(|(_, epoch)| epoch);
            cx.news.push(News::Stale { topic: item.place.0, code, leader_epoch });
        }
        self.carry_out(cx, broker, partition, at, &verdict, told);
        self.settle(cx, partition);
    }

    fn carry_out(
        &mut self,
        cx: &mut Cx<'_>,
        broker: BrokerId,
        partition: PartitionIx,
        at: usize,
        verdict: &Verdict,
        told: &Told<'_>,
    ) {
        let now = cx.now.mono;
        let (first, max) = (self.config.retry_backoff, self.config.retry_backoff_max);
        let Some(queue) = self.queues.get_mut(&partition) else { return };
        match verdict.then {
            Then::Done { base_offset } => {
                queue.succeeded(at, now);
                let Some(entry) = queue.resolve(at) else { return };
                let (records, plain) = (u64::from(entry.batch.count), u64::from(entry.batch.plain_bytes));
                let (bytes, name) = (entry.size() as u64, cx.names.named(partition).0);
                let s = cx.stats.producer(self.ix);
                s.records_acked += records;
                s.record_bytes += bytes;
                s.batches_acked += 1;
                s.plain_bytes += plain;
                let topic = s.topic(name);
                topic.records_acked += records;
                topic.bytes += bytes;
                topic.plain_bytes += plain;
                topic.batches += 1;
                let append_time = told.said.map(|said| said.append_time).filter(|at| *at >= 0).map(Timestamp);
                let (producer, batch) = (self.ix, entry.batch.no);
                cx.events.push_back(Event::Delivered { producer, partition, batch, base_offset, append_time });
            }
            Then::Again { backoff } => {
                if let Some((entry, (error, _))) = queue.entry(at).and_then(|entry| Some((entry, entry.last.clone()?)))
                {
                    let (topic, number) = cx.names.named(partition);
                    let (topic, attempts) = (topic.clone(), entry.attempts);
                    cx.events.push_back(Event::Note(Note::Retrying { topic, partition: number, attempts, error }));
                }
                let pause = backoff.then(|| now + cx.rng.backoff(first, max, queue.failures));
                queue.failures = queue.failures.saturating_add(u32::from(backoff));
                queue.again(pause);
            }
            Then::Restamp { renew } => {
                // The first time at once: after a long idle it is the broker's right to have forgotten us (ID-12).
                let failures = queue.failures.checked_sub(1);
                queue.pause = failures.map(|failures| now + cx.rng.backoff(first, max, failures));
                queue.failures = queue.failures.saturating_add(1);
                queue.close_window();
                self.renew(partition, renew);
            }
            Then::Split => self.split(cx, broker, partition, at),
            Then::Recode => {
                if let Err(error) = self.recode(cx, partition, at) {
                    let told = Told { answer: Answer::Missing, said: None, error: Some(error) };
                    self.refuse(cx, broker, partition, at, &told, false);
                }
            }
            Then::Fail { renew } => {
                // A batch that is called corrupt too often is corrupt: that says more than how often.
                let said = |code: ErrorCode| !code.is_retriable() || code == ErrorCode::CORRUPT_MESSAGE;
                let spent = !matches!(told.answer, Answer::Code(code, _) if said(code));
                self.refuse(cx, broker, partition, at, told, spent);
                self.renew(partition, renew);
            }
        }
    }

    /// The broker knows a newer epoch of our id: only a new id is certain to be newer.
    fn renew(&mut self, partition: PartitionIx, renew: bool) {
        let who = self.queues.get(&partition).and_then(|queue| queue.window.who());
        if renew && who.is_some_and(|who| self.identities.renew(who)) {
            self.unfiled = true;
        }
    }

    fn refuse(
        &mut self,
        cx: &mut Cx<'_>,
        broker: BrokerId,
        partition: PartitionIx,
        at: usize,
        told: &Told<'_>,
        spent: bool,
    ) {
        let Some(queue) = self.queues.get_mut(&partition) else { return };
        let Some(entry) = queue.resolve(at) else { return };
        // Rule 11 (contracts A3): its numbers will never be in the log, so nothing can follow them.
        if entry.stamp.is_some() {
            queue.close_window();
        }
        let cause = told.error.clone().unwrap_or_else(|| Error::new(ErrorKind::Broker, "refused"));
        self.fail(cx, partition, &entry, |about| about.refused(broker, cause, spent));
        let Some(said) = told.said.filter(|said| !said.culprits.is_empty()) else { return };
        // KIP-467, PR-35: the others of the batch may be sent again by whoever wants to.
        if let Some(Event::Failed { error, culprits, .. }) = cx.events.back_mut() {
            *culprits = said
                .culprits
                .iter()
                .filter(|(index, _)| *index < entry.batch.count)
                .map(|(index, words)| (*index, culprit(said.code, words.as_deref())))
                .collect();
            *error = error.clone().with_retriable(true);
        }
    }

    /// Contracts A24: the parent leaves every list in the step in which its parts come, and the front hears of that first.
    fn split(&mut self, cx: &mut Cx<'_>, broker: BrokerId, partition: PartitionIx, at: usize) {
        let Some(queue) = self.queues.get_mut(&partition) else { return };
        let numbers = [queue.child(), queue.child()];
        let Some(entry) = queue.entry(at) else { return };
        let (batch, count) = (entry.batch.no, entry.batch.count);
        let means =
            Means { compression: queue.terms.compression, codecs: &self.config.codecs, memory: self.memory.as_ref() };
        match halve(&entry.batch, numbers, means) {
            Ok(halves) => {
                let first = halves[0].count;
                let into = vec![
                    SplitPart { no: numbers[0], first: 0, count: first },
                    SplitPart { no: numbers[1], first, count: count - first },
                ];
                queue.replace(at, halves.into());
                cx.stats.producer(self.ix).splits += 1;
                cx.events.push_back(Event::Split { producer: self.ix, partition, batch, into });
            }
            Err(error) => {
                let told = Told { answer: Answer::Missing, said: None, error: Some(error) };
                self.refuse(cx, broker, partition, at, &told, false);
            }
        }
    }
}
