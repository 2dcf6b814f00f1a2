//! Groups: to come with their state machine.
use crate::state::State;
use crate::topics::OFFSETS;
use klamm_core::Time;

#[derive(Debug, Default)]
pub(crate) struct Groups {}
impl Groups {
    pub(crate) fn forget_topic(&mut self, _name: &str) {}
    pub(crate) fn loading(&self, _index: i32, _now: Time) -> bool {
        false
    }
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        None
    }
    pub(crate) fn committed(&self, _group: &str, _topic: &str, _partition: i32) -> Option<i64> {
        None
    }
}
impl State {
    pub(crate) fn elapse_groups(&mut self) {}
    pub(crate) fn move_groups(&mut self, _index: i32) {}
    pub(crate) fn need_offsets_topic(&mut self) -> bool {
        if self.topics.get(OFFSETS).is_some() {
            return true;
        }
        self.create_default(OFFSETS, self.settings.offsets_partitions);
        false
    }
}
