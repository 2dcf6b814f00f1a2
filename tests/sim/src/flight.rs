//! What producers have under way, watched from the clients' ends of their connections.

use std::collections::{BTreeMap, VecDeque};

/// Producer id, topic (name or id), partition.
pub(crate) type Place = (i64, String, i32);

/// One connection.
#[derive(Debug)]
struct Flight {
    /// Whose it is: who replaces a transactional producer has its id.
    client: usize,
    broker: i32,
    /// What was written of a request that is not whole.
    begun: Vec<u8>,
    /// By correlation id: the batches whose answer is due, each with its epoch.
    owed: VecDeque<(i32, Vec<(Place, i16)>)>,
    /// The head of an answer that is being read, and how much of its rest is to come.
    head: Vec<u8>,
    rest: usize,
}

/// All connections of all clients.
#[derive(Debug, Default)]
pub(crate) struct Flights(BTreeMap<u64, Flight>);

impl Flights {
    /// A client is connected to a broker.
    pub(crate) fn begin(&mut self, wire: u64, client: usize, broker: i32) {
        let flight = Flight { client, broker, begun: Vec::new(), owed: VecDeque::new(), head: Vec::new(), rest: 0 };
        self.0.insert(wire, flight);
    }

    /// A client knows that a connection has ended: nothing is under way on it any more.
    pub(crate) fn end(&mut self, wire: u64) {
        self.0.remove(&wire);
    }

    /// A client wrote bytes; gives the requests that are whole by now.
    pub(crate) fn wrote(&mut self, wire: u64, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let Some(flight) = self.0.get_mut(&wire) else { return frames };
        flight.begun.extend_from_slice(bytes);
        let mut rest = &flight.begun[..];
        while let Some((prefix, body)) = rest.split_first_chunk::<4>() {
            let Some(frame) = usize::try_from(i32::from_be_bytes(*prefix)).ok().and_then(|n| body.get(..n)) else {
                break;
            };
            frames.push(frame.to_vec());
            rest = &body[frame.len()..];
        }
        flight.begun = rest.to_vec();
        frames
    }

    /// A client read bytes: what they answer is not under way any more.
    pub(crate) fn read(&mut self, wire: u64, mut bytes: &[u8]) {
        let Some(flight) = self.0.get_mut(&wire) else { return };
        while !bytes.is_empty() {
            if flight.rest > 0 {
                let n = flight.rest.min(bytes.len());
                flight.rest -= n;
                bytes = &bytes[n..];
                continue;
            }
            let n = bytes.len().min(8 - flight.head.len());
            flight.head.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            if let Some((len, id)) =
                flight.head.split_first_chunk::<4>().and_then(|(len, id)| Some((*len, *id.first_chunk()?)))
            {
                flight.head.clear();
                flight.rest = usize::try_from(i32::from_be_bytes(len)).unwrap_or(0).saturating_sub(4);
                let id = i32::from_be_bytes(id);
                if flight.owed.front().is_some_and(|(due, _)| *due == id) {
                    flight.owed.pop_front();
                }
            }
        }
    }

    /// A request with these batches is under way; what is wrong with that.
    pub(crate) fn send(&mut self, wire: u64, id: i32, batches: Vec<(Place, i16)>) -> Vec<String> {
        let mut wrong = Vec::new();
        let Some((client, broker)) = self.0.get(&wire).map(|flight| (flight.client, flight.broker)) else {
            return wrong;
        };
        for (place, epoch) in &batches {
            let others = self.0.values().filter(|flight| flight.client == client).flat_map(|flight| {
                let of = flight.owed.iter().flat_map(|(_, all)| all).filter(|(at, _)| at == place);
                of.map(|(_, epoch)| (flight.broker, *epoch))
            });
            let others: Vec<(i32, i16)> = others.collect();
            if others.len() >= 5 {
                wrong.push(format!("{place:?}: {} batches under way at once", others.len() + 1));
            }
            if let Some((other, _)) = others.iter().find(|(other, _)| *other != broker) {
                wrong.push(format!("{place:?}: under way to broker {other}, and now to {broker}"));
            }
            if let Some((_, other)) = others.iter().find(|(_, other)| other != epoch) {
                wrong.push(format!("{place:?}: under way under epoch {other}, and now under {epoch}"));
            }
        }
        if let Some(flight) = self.0.get_mut(&wire) {
            flight.owed.push_back((id, batches));
        }
        wrong
    }
}
