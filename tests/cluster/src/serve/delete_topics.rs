//! DeleteTopics (broker-coord 6.3).

use crate::answer::{Answer, Call, Respond, Serve};
use crate::state::State;
use klamm_core::ErrorCode;
use klamm_core::wire::Uuid;
use klamm_core::wire::messages::delete_topics::{DeletableTopicResult, DeleteTopicState};
use klamm_core::wire::messages::{DeleteTopicsRequest, DeleteTopicsResponse};

fn told(name: Option<&str>, topic_id: Uuid, error_code: ErrorCode) -> DeletableTopicResult {
    DeletableTopicResult {
        name: name.map(str::to_owned),
        topic_id,
        error_code,
        error_message: (!error_code.is_ok()).then(|| error_code.to_string()),
    }
}

/// What is asked for, in the form of version 6.
fn asked(request: &DeleteTopicsRequest) -> Vec<DeleteTopicState> {
    let named = |name: &String| DeleteTopicState { name: Some(name.clone()), topic_id: Uuid::ZERO };
    request.topics.iter().cloned().chain(request.topic_names.iter().map(named)).collect()
}

impl Serve for DeleteTopicsRequest {
    fn serve(self, state: &mut State, _: &Call) -> Answer<DeleteTopicsResponse> {
        if self.timeout_ms <= 0 {
            return Answer::Now(self.refuse(ErrorCode::REQUEST_TIMED_OUT));
        }
        let asked = asked(&self);
        // A topic that is meant twice, by name or id, is not deleted at all.
        let meant = |t: &DeleteTopicState| match &t.name {
            Some(name) => Some(name.clone()),
            None => state.topics.name(t.topic_id).map(str::to_owned),
        };
        let names: Vec<Option<String>> = asked.iter().map(meant).collect();
        let mut responses = Vec::new();
        for (n, (topic, name)) in asked.iter().zip(&names).enumerate() {
            // What is named twice has one answer.
            if asked[..n].contains(topic) {
                continue;
            }
            let (given, id) = (topic.name.as_deref(), topic.topic_id);
            let invalid = given.is_some() != id.is_zero();
            let twice = name.is_some() && names.iter().filter(|other| *other == name).count() > 1;
            responses.push(match name {
                _ if invalid || twice => told(given, id, ErrorCode::INVALID_REQUEST),
                None => told(None, id, ErrorCode::UNKNOWN_TOPIC_ID),
                Some(name) => match state.topics.get(name).map(|t| t.id) {
                    None => told(Some(name), id, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                    Some(id) => {
                        state.delete_topic(name);
                        told(Some(name), id, ErrorCode::NONE)
                    }
                },
            });
        }
        state.parked.stale = true;
        // The order of the answer is not that of the request.
        for last in (1..responses.len()).rev() {
            let other = state.rng.below(last as u64 + 1) as usize;
            responses.swap(last, other);
        }
        Answer::Now(DeleteTopicsResponse { responses, ..Default::default() })
    }

    fn refuse(&self, code: ErrorCode) -> DeleteTopicsResponse {
        let responses = asked(self).iter().map(|t| told(t.name.as_deref(), t.topic_id, code)).collect();
        DeleteTopicsResponse { responses, ..Default::default() }
    }

    fn names(&self, topic: &str, id: Option<Uuid>) -> bool {
        asked(self).iter().any(|t| t.name.as_deref() == Some(topic) || Some(t.topic_id) == id)
    }
}

impl Respond for DeleteTopicsResponse {
    fn fail(&mut self, code: ErrorCode) {
        for topic in self.responses.iter_mut().filter(|t| t.error_code.is_ok()) {
            *topic = told(topic.name.as_deref(), topic.topic_id, code);
        }
    }
    fn omit(&mut self) {
        self.responses.pop();
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
