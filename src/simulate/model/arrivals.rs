//! What becomes of events on their way: some are late, some come twice, some are broken.

use super::{FLAWS, Flaw, Form, Lines, Planted, Scene};
use crate::config::{Config, Simulate};
use crate::model::load::Loaded;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

/// What has been sent and will arrive.
struct Underway<E> {
    arrives: i64,
    sequence: u64,
    at: i64,
    event: E,
    flaw: Option<Flaw>,
    is_again: bool,
    is_too_late: bool,
}

impl<E> PartialEq for Underway<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl<E> Eq for Underway<E> {}
impl<E> PartialOrd for Underway<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<E> Ord for Underway<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.arrives, self.sequence).cmp(&(other.arrives, other.sequence))
    }
}

/// The events of a scene in the order in which they arrive.
pub(super) struct Arrivals<S: Scene> {
    scene: S,
    form: Form,
    random: ChaCha8Rng,
    simulate: Simulate,
    lateness_ms: i64,
    out_of_orderness_ms: i64,
    between_visits: Exp<f64>,
    next_visit: f64,
    made: Vec<(i64, S::Event)>,
    underway: BinaryHeap<Reverse<Underway<S::Event>>>,
    sequence: u64,
    left: u64,
    planted: Planted,
}

impl<S: Scene> Arrivals<S> {
    /// As late and out of order as the family allows.
    pub(super) fn new(config: &Config, loaded: &Loaded, scene: S, form: Form) -> Arrivals<S> {
        let simulate = config.simulate.clone();
        let visits = (simulate.events as f64 / scene.per_visit()).max(1.0);
        let span_ms = f64::from(simulate.days) * 24.0 * HOUR_MS as f64;
        let lateness_ms = loaded.events.lateness_ms.unwrap_or(config.lateness);
        Arrivals {
            scene,
            form,
            random: ChaCha8Rng::seed_from_u64(simulate.seed),
            lateness_ms: lateness_ms.unwrap_or(48 * HOUR_MS),
            out_of_orderness_ms: loaded.events.out_of_orderness_ms.unwrap_or(config.out_of_orderness),
            between_visits: Exp::new(visits / span_ms).expect("the rate of visits is positive"),
            next_visit: simulate.start as f64,
            made: Vec::new(),
            underway: BinaryHeap::new(),
            sequence: 0,
            left: simulate.events,
            planted: Planted::default(),
            simulate,
        }
    }

    fn permille(&mut self, of: f64) -> bool {
        of > 0.0 && self.random.random_bool(of / 1000.0)
    }

    /// Sends an event on its way, which may be long, crooked, or taken twice.
    fn send(&mut self, sent: i64, event: S::Event) {
        let (mut at, mut arrives, mut is_too_late) = (sent, sent, false);
        if self.permille(self.simulate.too_late_permille) {
            let back = self.lateness_ms + self.out_of_orderness_ms + self.random.random_range(HOUR_MS..24 * HOUR_MS);
            (at, is_too_late) = (sent - back, true);
        } else if self.permille(self.simulate.late_permille) {
            let longest = self.lateness_ms.clamp(MINUTE_MS, 8 * HOUR_MS) / 2;
            arrives += self.out_of_orderness_ms + self.random.random_range(0..=longest);
        } else if self.permille(self.simulate.out_of_order_permille) {
            arrives += self.random.random_range(0..=self.out_of_orderness_ms * 9 / 10);
        }
        let mut flaw = None;
        if self.permille(self.simulate.malformed_permille) {
            let all = FLAWS.len() + usize::from(self.scene.own_flaws());
            let chosen = self.random.random_range(0..all);
            flaw = Some(FLAWS.get(chosen).copied().unwrap_or(Flaw::Own((chosen - FLAWS.len().min(chosen)) as u8)));
        } else if self.permille(self.simulate.duplicate_permille) {
            let again = arrives + self.random.random_range(0..=MINUTE_MS);
            self.underway(Underway {
                arrives: again,
                sequence: 0,
                at,
                event: event.clone(),
                flaw,
                is_again: true,
                is_too_late,
            });
        }
        self.underway(Underway { arrives, sequence: 0, at, event, flaw, is_again: false, is_too_late });
    }

    fn underway(&mut self, underway: Underway<S::Event>) {
        self.sequence += 1;
        self.underway.push(Reverse(Underway { sequence: self.sequence, ..underway }));
    }

    /// Makes what begins before anything that is under way arrives.
    fn visits(&mut self) {
        while self.underway.peek().is_none_or(|Reverse(first)| first.arrives as f64 > self.next_visit) {
            let mut made = std::mem::take(&mut self.made);
            self.scene.visit(&mut self.random, self.next_visit as i64, &mut made);
            made.drain(..).for_each(|(at, event)| self.send(at, event));
            self.made = made;
            self.next_visit += self.between_visits.sample(&mut self.random);
        }
    }
}

impl<S: Scene> Lines for Arrivals<S> {
    fn header(&self) -> Option<String> {
        self.scene.header()
    }

    fn write_next(&mut self, line: &mut Vec<u8>) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        self.visits();
        let Reverse(Underway { at, event, flaw, is_again, is_too_late, .. }) = self.underway.pop()?;
        self.planted.malformed += u64::from(flaw.is_some());
        self.planted.repeated += u64::from(is_again);
        self.planted.too_late += u64::from(is_too_late && flaw.is_none());
        let from = line.len();
        self.scene.write(&event, at, flaw, self.form, line);
        match flaw {
            // Within a value, so that there are too few.
            Some(Flaw::Cut) if self.form == Form::Csv => {
                let last = line[from..].iter().rposition(|byte| *byte == b',');
                match last.filter(|_| !line[from..].contains(&b'"')) {
                    Some(last) => line.truncate(from + last.saturating_sub(1)),
                    None => page(from, line),
                }
            }
            Some(Flaw::Cut) => line.truncate(from + (line.len() - from) * 2 / 3),
            Some(Flaw::Page) => page(from, line),
            Some(Flaw::NoTime | Flaw::Own(_)) | None => {}
        }
        Some(self.scene.person(&event))
    }

    fn planted(&self) -> Planted {
        self.planted
    }
}

fn page(from: usize, line: &mut Vec<u8>) {
    line.truncate(from);
    line.extend_from_slice(b"<!DOCTYPE html>");
}
