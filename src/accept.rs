//! Records read one by one, outside of a dataflow.

use crate::decode::{self, Format};
use crate::families::SHOP;
use crate::rules::Rules;
use dataflows::events::Event;
use dataflows::family::FamilyId;
use dataflows::gate::{self, Events, Judge};
use dataflows::shop::events::ByNames;
use dataflows::wire::{Clock, Rejection};

/// Whether a record of a family would be accepted: so many bytes, of which these are the beginning, or all.
///
/// # Errors
/// The reason, if it is too long, not an event, or breaks a rule.
pub fn judge(
    family: FamilyId,
    format: &Format,
    record: (&[u8], u64),
    rules: &Rules,
    clock: impl Into<Clock>,
) -> Result<(), Rejection> {
    let mut gate = family.alone();
    decode::decode_record(format, record, &mut *gate, rules.bounds(family, clock)).map(drop)
}

/// An event of the movie shop that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The event.
    pub event: Event,
    /// An e-mail address came in clear, in any text, and was masked.
    pub masked: bool,
}

/// Decodes and judges a payload of the movie shop.
///
/// # Errors
/// The reason, if it is not an event or breaks a rule.
pub fn accept(format: &Format, payload: &[u8], rules: &Rules, clock: impl Into<Clock>) -> Result<Accepted, Rejection> {
    let mut gate = Events::alone(&ByNames);
    let accepted = decode::decode(format, payload, &mut gate, rules.bounds(SHOP, clock))?;
    Ok(taken(&mut gate, accepted))
}

/// Decodes and judges a record of the movie shop of so many bytes, of which these are the beginning, or all.
///
/// # Errors
/// The reason, if it is too long, no event, or breaks a rule.
pub fn accept_record(
    format: &Format,
    record: (&[u8], u64),
    rules: &Rules,
    clock: impl Into<Clock>,
) -> Result<Accepted, Rejection> {
    let mut gate = Events::alone(&ByNames);
    let accepted = decode::decode_record(format, record, &mut gate, rules.bounds(SHOP, clock))?;
    Ok(taken(&mut gate, accepted))
}

fn taken(gate: &mut Events<Event, impl Judge<Event>>, gate::Accepted { masked, .. }: gate::Accepted) -> Accepted {
    let event = gate.accepted().expect("what is accepted is at the gate");
    Accepted { event, masked }
}
