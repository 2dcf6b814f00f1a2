//! Mutation without a compiler's help: for a stable toolchain and a short budget.

use fastrand::Rng;

/// Lengths and counts that hurt: the largest, the smallest, those around a byte.
const EDGES: [&[u8]; 6] =
    [&[0x7f, 0xff, 0xff, 0xff], &[0xff, 0xff, 0xff, 0xff, 0x0f], &[0x80, 0, 0, 0], &[0xff], &[0x7f], &[0, 0, 0, 0]];

/// One of `inputs` with some bytes changed, cut, added, repeated or taken from another; or noise from the first byte on.
pub fn mutate(rng: &mut Rng, inputs: &[Vec<u8>], most: usize) -> Vec<u8> {
    let pick = |rng: &mut Rng| if inputs.is_empty() { &[][..] } else { &inputs[rng.usize(..inputs.len())][..] };
    let mut bytes = pick(rng).to_vec();
    if bytes.is_empty() || rng.u8(..20) == 0 {
        bytes = (0..rng.usize(..200)).map(|_| if rng.bool() { rng.u8(..) } else { rng.u8(..3) }).collect();
    }
    for _ in 0..=rng.usize(..6) {
        let at = rng.usize(..=bytes.len());
        let end = (at + rng.usize(..12)).min(bytes.len());
        match rng.u8(..9) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.u8(..)),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let edge = EDGES[rng.usize(..EDGES.len())];
                drop(bytes.splice(at..(at + edge.len()).min(bytes.len()), edge.iter().copied()));
            }
            4 => {
                let again = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, again));
            }
            5 => {
                let other = pick(rng);
                let from = rng.usize(..=other.len());
                bytes.truncate(at);
                bytes.extend(&other[from..]);
            }
            6 => bytes[at..end].fill_with(|| rng.u8(..)),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = if rng.bool() { rng.u8(..) } else { *byte ^ 1 << rng.u8(..8) };
                }
            }
        }
    }
    bytes.truncate(most);
    bytes
}
