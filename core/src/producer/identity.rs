//! How the producer comes by its id: InitProducerId over any broker's control link.

use super::machine::Producer;
use super::sequence::Identity;
use crate::client::role::{Cx, LinkFacts, News, Request, RequestError, Response};
use crate::error::Error;
use crate::wire::messages::InitProducerIdRequest;
use crate::{BrokerId, ErrorKind, Time};

impl Producer {
    /// From when on a producer id is to be asked for, if at all. As soon as a topic is: both answers are needed before the
    /// first batch goes.
    pub(super) fn wants_identity(&self) -> Option<Time> {
        let wanted =
            self.config.enable_idempotence && self.doomed.is_none() && !self.closed && self.transaction.is_none();
        let used = self.topics.any() || !self.index.active.is_empty();
        if wanted && used { self.identities.wanted() } else { None }
    }

    pub(super) fn ask_identity(&mut self, link: &LinkFacts<'_>, cx: &mut Cx<'_>) -> Option<Request> {
        if self.wants_identity()? > cx.now.mono {
            return None;
        }
        let tag = self.tag();
        let message = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        };
        match Request::new(tag, link, &message, self.config.request_timeout) {
            Ok(request) => {
                self.identities.asked();
                self.asking = Some(tag.token);
                Some(request)
            }
            Err(error) => {
                let hint = "brokers know idempotence since 0.11: set enable.idempotence=false for older ones";
                self.doom(cx, error.with_hint(hint));
                None
            }
        }
    }

    pub(super) fn take_identity(&mut self, cx: &mut Cx<'_>, broker: BrokerId, result: Result<Response, RequestError>) {
        let answer = match result {
            Err(error) => Err(error.error().clone()),
            Ok(response) => response.decode::<InitProducerIdRequest>().inspect_err(|error| {
                cx.news.push(News::Undecodable { error: error.clone() });
            }),
        };
        let error = match answer {
            Ok(answer) => {
                if answer.throttle_time_ms > 0 {
                    cx.news.push(News::Throttled { ms: answer.throttle_time_ms });
                }
                let code = answer.error_code;
                let valid = answer.producer_id >= 0 && answer.producer_epoch >= 0;
                match code.is_ok() {
                    true if valid => {
                        self.identities.adopt(Identity { id: answer.producer_id, epoch: answer.producer_epoch });
                        for queue in self.queues.values_mut() {
                            queue.resume();
                        }
                        self.unfiled = true;
                        return;
                    }
                    true => Error::new(ErrorKind::Corrupt, "a broker gave a producer id that is none"),
                    // ID-14: what will not pass is said, not retried.
                    false if !code.is_retriable() => {
                        let text = format!("broker {broker} gives no producer id");
                        let hint = "allow Write on the topic (brokers before 2.8: IdempotentWrite on the cluster), or set \
                                    enable.idempotence=false";
                        let cause = Error::from_code(code);
                        let error = Error::new(code.kind(), text).with_code(code).with_source(cause);
                        self.doom(cx, error.with_api("InitProducerId").with_broker(broker.0).with_hint(hint));
                        return;
                    }
                    false => Error::from_code(code).with_api("InitProducerId").with_broker(broker.0),
                }
            }
            Err(error) => error,
        };
        let (first, max) = (self.config.retry_backoff, self.config.retry_backoff_max);
        self.identities.failed(cx.now, cx.rng, first, max, error);
        self.ask_at = self.identities.wanted();
    }

    /// `enable.gapless.guarantee`: after a batch that failed nothing may follow. A transaction aborts as a whole, and what the
    /// application gave up itself is no surprise to it.
    pub(super) fn leave_no_gap(&mut self, error: &Error) {
        let given_up = matches!(error.kind(), ErrorKind::Aborted | ErrorKind::Closed);
        if self.config.enable_gapless_guarantee && self.transaction.is_none() && !given_up {
            let text = "a batch failed, and enable.gapless.guarantee lets none follow it";
            let why = Error::new(ErrorKind::NotDelivered, text).with_source(error.clone());
            self.dooming
                .get_or_insert(why.with_hint("open another producer, and send again from the record that failed"));
        }
    }

    /// The producer is of no more use: all that it has and gets fails with this.
    pub(super) fn doom(&mut self, cx: &mut Cx<'_>, error: Error) {
        self.doomed = Some(error.clone().with_fatal());
        self.unfiled = true;
        let all: Vec<_> = self.index.active.iter().copied().collect();
        for partition in all {
            let Some(queue) = self.queues.get_mut(&partition) else { continue };
            for entry in queue.clear() {
                self.fail(cx, partition, &entry, |about| about.given_up(error.clone().with_fatal()));
            }
            self.settle(cx, partition);
        }
    }
}
