//! What producers put on the wire, watched from the brokers' side: sequence numbers without gaps, and no number with two
//! bodies (contracts section 3, item 2).

use klamm_cluster::Peer;
use klamm_core::record::BatchHeader;
use klamm_core::wire::frame::decode_request_header;
use klamm_core::wire::messages::ProduceRequest;
use klamm_core::wire::{ApiKey, Message, Reader};
use std::collections::BTreeMap;

/// Producer id, epoch, topic (name or id), partition.
type Window = (i64, i16, String, i32);

/// One sent batch: records, checksum.
type Sent = (i32, u32);

#[derive(Debug, Default)]
pub(crate) struct Monitor {
    begun: BTreeMap<Peer, Vec<u8>>,
    sent: BTreeMap<Window, BTreeMap<i32, Sent>>,
    wrong: Vec<String>,
    batches: u64,
}

impl Monitor {
    /// Bytes reached a broker.
    pub(crate) fn feed(&mut self, peer: Peer, bytes: &[u8]) {
        let mut begun = self.begun.remove(&peer).unwrap_or_default();
        begun.extend_from_slice(bytes);
        let mut rest = &begun[..];
        while let Some((prefix, body)) = rest.split_first_chunk::<4>() {
            let Some(frame) = usize::try_from(i32::from_be_bytes(*prefix)).ok().and_then(|n| body.get(..n)) else {
                break;
            };
            self.request(frame);
            rest = &body[frame.len()..];
        }
        let rest = rest.to_vec();
        self.begun.insert(peer, rest);
    }

    fn request(&mut self, frame: &[u8]) {
        let mut reader = Reader::new(frame);
        let Ok(header) = decode_request_header(&mut reader) else { return };
        if header.key != ApiKey::PRODUCE {
            return;
        }
        let Ok(request) = ProduceRequest::decode(&mut reader, header.version) else {
            return self.wrong.push("a Produce request that cannot be read".into());
        };
        for topic in request.topic_data {
            let name = if topic.name.is_empty() { format!("{:?}", topic.topic_id) } else { topic.name };
            for part in topic.partition_data {
                let records = part.records.unwrap_or_default();
                match BatchHeader::parse(&records) {
                    Ok(batch) => self.batch(&name, part.index, &batch),
                    Err(error) => self.wrong.push(format!("{name}-{}: {error:?}", part.index)),
                }
            }
        }
    }

    fn batch(&mut self, topic: &str, partition: i32, batch: &BatchHeader) {
        self.batches += 1;
        let stamp = batch.stamp;
        if stamp.producer_id < 0 {
            return;
        }
        let window = (stamp.producer_id, stamp.epoch, topic.to_owned(), partition);
        let sent = self.sent.entry(window.clone()).or_default();
        let one = (batch.count, batch.crc);
        match sent.get(&stamp.base_sequence) {
            // A batch that was too large is split: its first half has its number.
            Some(before) if one.0 < before.0 => {
                sent.insert(stamp.base_sequence, one);
            }
            Some(before) if *before != one => {
                let text = format!("{window:?}: number {} has two bodies: {before:?}, {one:?}", stamp.base_sequence);
                self.wrong.push(text);
            }
            Some(_) => {}
            None => {
                sent.insert(stamp.base_sequence, one);
            }
        }
    }

    /// # Panics
    /// If something was wrong.
    pub(crate) fn judge(&self) {
        let mut wrong = self.wrong.clone();
        for (window, sent) in &self.sent {
            let mut next = 0;
            for (base, (count, _)) in sent {
                // Requests that were lost with their connection before a broker read them leave gaps at the end only: what
                // follows them is sent after them.
                if *base < next {
                    wrong.push(format!("{window:?}: number {base} again, {next} was next"));
                }
                next = base.saturating_add(*count);
            }
        }
        assert!(wrong.is_empty(), "on the wire, after {} batches: {wrong:#?}", self.batches);
    }
}
