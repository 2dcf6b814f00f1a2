//! Packs a batch anew whose codec its broker refuses.

use super::handover::Batch;
use super::machine::Producer;
use super::split::{Means, charge, compress, plain};
use crate::client::Event;
use crate::client::Note;
use crate::client::role::Cx;
use crate::codec::{Codec, Compression};
use crate::error::Error;
use crate::record::BodyCrc;
use crate::{PartitionIx, TopicIx};

/// The same batch by another codec: its number, its records and, where it has one, its stamp stay.
fn recode(batch: &Batch, to: Compression, means: Means<'_>) -> Result<Batch, Error> {
    let plain = plain(batch, means.codecs)?;
    let body = charge(compress(&plain, to, means)?, means.memory);
    Ok(Batch { crc: BodyCrc::of(&body), body, codec: to.codec(), ..batch.clone() })
}

impl Producer {
    /// What a topic's batches are compressed by when none may use `refused`.
    pub(super) fn codec_after(&self, topic: TopicIx, partition: PartitionIx, refused: Codec) -> Option<Compression> {
        let mut all = self.refused.get(&topic).copied().unwrap_or_default();
        all.add(refused);
        self.queues.get(&partition)?.terms.compression.but(all)
    }

    /// A broker refused the codec of the batch `at`: it goes again by the next one, and later ones of the topic begin with it.
    /// Brokers tell copies of a batch by its stamp, not by its bytes, so nothing is written twice that is stamped.
    pub(super) fn recode(&mut self, cx: &mut Cx<'_>, partition: PartitionIx, at: usize) -> Result<(), Error> {
        let Some(queue) = self.queues.get_mut(&partition) else { return Ok(()) };
        let topic = queue.place.0;
        let refused = self.refused.entry(topic).or_default();
        let Some(entry) = queue.entries.get_mut(at) else { return Ok(()) };
        let codec = entry.batch.codec;
        let news = refused.add(codec);
        let Some(instead) = queue.terms.compression.but(*refused) else { return Ok(()) };
        if news {
            let (producer, topic) = (self.ix, cx.names.topic_name(topic).clone());
            cx.events.push_back(Event::Note(Note::CodecRefused { topic, codec, instead: instead.codec() }));
            cx.events.push_back(Event::CodecRefused { producer, partition, codec });
        }
        let means =
            Means { compression: queue.terms.compression, codecs: &self.config.codecs, memory: self.memory.as_ref() };
        entry.batch = recode(&entry.batch, instead, means)?;
        queue.again(None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::split::tests::{batch, means, records};
    use super::*;

    #[test]
    fn a_batch_by_another_codec_has_the_same_records_and_number() {
        let all: Vec<_> = (0..9).map(|i| (i, Some(vec![i as u8]), Some(vec![7; 90]), 1)).collect();
        for (from, to) in [(Codec::Zstd, Codec::Gzip), (Codec::Gzip, Codec::None), (Codec::None, Codec::Lz4)] {
            let whole = batch(from, &all);
            let again = recode(&whole, Compression::new(to, None).unwrap(), means(to)).unwrap();
            assert_eq!((again.codec, again.no, again.count), (to, whole.no, whole.count));
            assert_eq!(again.crc, BodyCrc::of(&again.body));
            assert_eq!(records(&again), all, "{from} to {to}");
        }
    }

    #[test]
    fn a_body_that_is_not_what_it_says_is_an_error() {
        let mut whole = batch(Codec::Gzip, &[(0, None, None, 0)]);
        whole.body = bytes::Bytes::from_static(b"\xff\xff\xff");
        assert!(recode(&whole, Compression::NONE, means(Codec::None)).is_err());
    }
}
