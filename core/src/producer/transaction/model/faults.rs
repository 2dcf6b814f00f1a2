//! What goes wrong on links and at brokers: every code that a broker may answer, lost requests and answers, late copies.

use super::brokers::Phase;
use super::requests::{self, Asked, Spoil};
use super::world::World;
use crate::client::role::{RequestError, RoleMachine};
use crate::rng::Rng;
use crate::{BrokerId, Error, ErrorCode, ErrorKind};

impl World {
    pub(super) fn spoil(&mut self, asked: &Asked, broker: BrokerId) -> Spoil {
        let home = match asked {
            Asked::Produce(_) => broker,
            Asked::Offset(..) => self.at[1],
            _ => self.at[0],
        };
        if home != broker {
            return Spoil::Before(ErrorCode::NOT_COORDINATOR);
        }
        let undecided = !matches!(self.brokers.phase, Phase::Ending(_) | Phase::Ended(_));
        let (passing, costly, fatal): (&[i16], &[i16], &[i16]) = match asked {
            Asked::Init(_) => (&[14, 15, 16, 51], &[], &[90, 53, 49]),
            Asked::Add(..) => (&[3, 14, 15, 16, 51], &[29, 59, 120], &[90, 47, 48, 49, 53]),
            Asked::Group(_) => (&[14, 15, 16, 51], &[30, 59, 120], &[90, 47, 48, 49, 53]),
            Asked::Offset(..) => (&[3, 7, 14, 15, 16], &[12, 22, 25, 27, 30, 47, 82, 120], &[90, 53]),
            Asked::End(..) => (&[-1, 7, 14, 15, 16, 51], &[48, 59, 120], &[90, 47, 49, 53]),
            Asked::Produce(_) => (&[3, 6, 19, 51], &[29, 45, 47, 59, 87, 120], &[90, 49]),
        };
        // What may come after the write, or say nothing of it.
        let after: &[i16] = match asked {
            Asked::End(..) => &[-1, 7, 15, 16],
            Asked::Produce(_) => &[7, 3, 6, 56, 20],
            Asked::Offset(..) => &[7],
            _ => &[],
        };
        let die = self.dice.below(1000);
        let one = |dice: &mut Rng, of: &[i16]| ErrorCode(of[dice.below(of.len() as u64) as usize]);
        if die < self.fatal {
            return Spoil::Before(one(&mut self.dice, fatal));
        }
        if die >= self.fatal + self.faults {
            return Spoil::Nothing;
        }
        match die % 8 {
            0 if !costly.is_empty() && (undecided || !matches!(asked, Asked::End(..))) => {
                Spoil::Before(one(&mut self.dice, costly))
            }
            1 | 2 if !after.is_empty() => Spoil::After(one(&mut self.dice, after)),
            3..=5 => Spoil::Before(one(&mut self.dice, passing)),
            _ => Spoil::Nothing,
        }
    }

    pub(super) fn serve(&mut self, broker: BrokerId, version: i16, asked: &Asked, spoil: Spoil, late: bool) -> Vec<u8> {
        if matches!(asked, Asked::End(..)) && spoil != Spoil::Nothing {
            self.doubts = true;
        }
        let leaders = self.leaders.clone();
        requests::serve(&mut self.brokers, asked, version, spoil, late, |at| leaders[at].0 == broker)
    }

    /// A link breaks: what it carries was worked on or not, and nobody says which.
    pub(super) fn cut(&mut self) {
        let Some(key) = self.any_link(|link| !link.flights.is_empty()) else { return };
        while self.dice.below(3) > 0 {
            let flights = &self.links[&key].flights;
            let Some(at) = flights.iter().position(|f| f.answer.is_none()) else { break };
            let (asked, version) = (flights[at].asked.clone(), flights[at].version);
            let spoil = self.spoil(&asked, key.0);
            let bytes = self.serve(key.0, version, &asked, spoil, false);
            self.links.get_mut(&key).unwrap().flights[at].answer = Some(bytes);
        }
        let link = self.links.get_mut(&key).unwrap();
        link.breaks += 1;
        for flight in std::mem::take(&mut link.flights) {
            let why = Error::new(ErrorKind::Connect, "the connection ended").with_broker(key.0.0);
            let unsent = flight.answer.is_none() && self.dice.below(3) == 0;
            self.doubts |= matches!(flight.asked, Asked::End(..)) && !unsent;
            if flight.answer.is_none() && !unsent && matches!(flight.asked, Asked::Produce(_)) {
                self.ghosts.push((key.0, flight.version, flight.asked));
            }
            let error = if unsent { RequestError::NotSent(why) } else { RequestError::Lost(why) };
            self.with(|p, cx| p.handle_response(cx, key.0, flight.tag, Err(error)));
        }
        self.engine();
    }

    /// A broker comes to a Produce request whose connection is gone.
    pub(super) fn haunt(&mut self) -> bool {
        let Some((broker, version, asked)) = self.ghosts.pop() else { return false };
        self.serve(broker, version, &asked, Spoil::Nothing, true);
        true
    }
}
