//! From a frame to the API that serves it (broker-data 1).

use super::{Brokers, Peer};
use crate::answer::{Answer, Call, Inflight, Later, Respond, Serve, Ticket};
use crate::api::Api;
use crate::fault::{Before, Effect};
use crate::serve::api_versions;
use crate::state::State;
use bytes::Bytes;
use klamm_core::Now;
use klamm_core::wire::frame::{RequestHeader, decode_request_header};
use klamm_core::wire::{ApiKey, Reader, messages::*};

/// What came of a request before it reached its API.
enum Fate {
    Served,
    /// It is not one that a broker answers (1.3).
    Unreadable,
}

impl Brokers {
    pub(super) fn serve_next(&mut self, peer: Peer, now: Now) {
        let Some(conn) = self.conns.get_mut(&peer) else { return };
        match conn.next_frame(self.state.settings.max_request_bytes) {
            Ok(None) => {}
            Ok(Some(frame)) => self.serve(peer, &frame, now, true),
            Err(_) => self.close(peer),
        }
    }

    /// Serves a request that a fault held back.
    pub(super) fn serve_again(&mut self, peer: Peer, frame: Bytes) {
        let wall = klamm_core::Timestamp(self.state.wall);
        self.serve(peer, &frame, Now { mono: self.state.mono, wall }, false);
    }

    fn serve(&mut self, peer: Peer, frame: &Bytes, now: Now, faults: bool) {
        let Some(conn) = self.conns.get_mut(&peer) else { return };
        let mut reader = Reader::shared(frame);
        let Ok(header) = decode_request_header(&mut reader) else { return self.close(peer) };
        let ticket = self.state.new_ticket();
        conn.busy = Some(ticket);
        let key = header.key;
        let inflight = Inflight { peer, key, version: header.version, correlation: header.correlation, after: None };
        let Some(api) = Api::from_key(key) else { return self.close(peer) };
        let (low, high) = api.served(self.state.settings.unstable_versions);
        self.state.inflight.insert(ticket, inflight);
        if !(low..=high).contains(&header.version) {
            if key != ApiKey::API_VERSIONS {
                return self.close(peer);
            }
            // 1.5: the answer is in version 0, whatever the body looks like.
            if let Some(inflight) = self.state.inflight.get_mut(&ticket) {
                inflight.version = 0;
            }
            return self.state.finish(ticket, api_versions::unsupported());
        }
        let RequestHeader { version, client_id, .. } = header;
        let client_id = client_id.unwrap_or_default();
        let call = Call { ticket, broker: conn.broker, version, client_id, now };
        let request = Incoming { frame, peer, faults };
        if let Fate::Unreadable = self.state.route(key, &mut reader, &call, &request) {
            self.close(peer);
        }
    }
}

/// A request on its way to its API.
struct Incoming<'a> {
    frame: &'a Bytes,
    peer: Peer,
    faults: bool,
}

macro_rules! route {
    ($( $request:ident )*) => {
        impl State {
            fn route(&mut self, key: ApiKey, reader: &mut Reader<'_>, call: &Call, incoming: &Incoming<'_>) -> Fate {
                use klamm_core::wire::Request;
                match key {
                    $( <$request as Request>::KEY => self.serve::<$request>(reader, call, incoming), )*
                    _ => Fate::Unreadable,
                }
            }
        }
    };
}

route! {
    AddOffsetsToTxnRequest AddPartitionsToTxnRequest ApiVersionsRequest CreateAclsRequest CreatePartitionsRequest
    CreateTopicsRequest DeleteAclsRequest DeleteGroupsRequest DeleteRecordsRequest DeleteTopicsRequest
    DescribeAclsRequest DescribeClusterRequest DescribeConfigsRequest DescribeGroupsRequest DescribeProducersRequest
    DescribeTopicPartitionsRequest DescribeTransactionsRequest EndTxnRequest FetchRequest FindCoordinatorRequest
    HeartbeatRequest IncrementalAlterConfigsRequest InitProducerIdRequest JoinGroupRequest LeaveGroupRequest
    ListGroupsRequest ListOffsetsRequest ListTransactionsRequest MetadataRequest OffsetCommitRequest
    OffsetFetchRequest OffsetForLeaderEpochRequest ProduceRequest SyncGroupRequest TxnOffsetCommitRequest
    WriteTxnMarkersRequest
}

impl State {
    fn serve<R: Serve>(&mut self, reader: &mut Reader<'_>, call: &Call, incoming: &Incoming<'_>) -> Fate {
        // 1.4: bytes behind a body that parsed are ignored.
        let Ok(request) = R::get(reader, R::version(call.version)) else { return Fate::Unreadable };
        if incoming.faults {
            if let Some(effect) = self.fault_for(&request, call) {
                match effect {
                    Effect::After(after) => {
                        if let Some(inflight) = self.inflight.get_mut(&call.ticket) {
                            inflight.after = Some(after);
                        }
                    }
                    Effect::Before(before) => {
                        self.obstruct(&request, before, call, incoming);
                        return Fate::Served;
                    }
                }
            }
        }
        let answer = request.serve(self, call);
        self.give(call.ticket, answer);
        Fate::Served
    }

    /// Does what an API said of a request.
    pub(crate) fn give<R: Respond>(&mut self, ticket: Ticket, answer: Answer<R>) {
        match answer {
            Answer::Now(response) => self.finish(ticket, response),
            Answer::Parked => {}
            Answer::Quiet => self.finish_quietly(ticket),
            Answer::Close => self.finish_by_closing(ticket),
            Answer::Stuck => {
                self.inflight.remove(&ticket);
            }
        }
    }

    fn fault_for<R: Serve>(&mut self, request: &R, call: &Call) -> Option<Effect> {
        let Self { faults, rng, topics, .. } = self;
        let names = |topic: &str| request.names(topic, topics.get(topic).map(|t| t.id));
        let at = faults.iter_mut().position(|plan| plan.strikes(R::KEY, call.broker, names, |n| rng.below(n)))?;
        let effect = faults[at].effect;
        if faults[at].left == Some(0) {
            faults.remove(at);
        }
        Some(effect)
    }

    fn obstruct<R: Serve>(&mut self, request: &R, before: Before, call: &Call, incoming: &Incoming<'_>) {
        match before {
            Before::Error(code) => self.finish(call.ticket, request.refuse_in(call.version, code)),
            Before::Close => self.finish_by_closing(call.ticket),
            Before::Silence => {
                self.inflight.remove(&call.ticket);
            }
            Before::Delay(by) => {
                self.inflight.remove(&call.ticket);
                let frame = incoming.frame.clone();
                self.at(self.mono + by, Later::Serve { peer: incoming.peer, frame });
            }
        }
    }

    /// The connection of a request is gone.
    pub(crate) fn abandon(&mut self, ticket: Ticket) {
        self.inflight.remove(&ticket);
        self.parked.forget(ticket);
    }
}
