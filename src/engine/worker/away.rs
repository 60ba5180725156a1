//! What sources have to say of what they read from, gathered at the close of an epoch.

use crate::engine::intake::Slot;
use crate::source::{Lag, Portion, Trouble};
use crate::stats::Stats;

/// What is unavailable, left unread, or in trouble.
#[derive(Default)]
pub(super) struct Away {
    waits_for: Vec<String>,
    unread: Vec<String>,
    troubles: Vec<Trouble>,
    lag: Vec<Lag>,
    /// Of every source; none if one of them has no end.
    portion: Option<Portion>,
    heard: bool,
}

impl Away {
    pub(super) fn hear(&mut self, slot: &Slot) {
        self.waits_for.extend(slot.waits_for());
        self.unread.extend(slot.unread());
        self.troubles.extend(slot.troubles());
        self.lag.extend(slot.lag());
        let all = if self.heard { self.portion } else { Some(Portion::default()) };
        self.portion = all.zip(slot.portion()).map(|(all, one)| all + one);
        self.heard = true;
    }

    pub(super) fn tell(self, stats: &Stats) {
        stats.set_waits_for(self.waits_for);
        stats.set_unread(self.unread);
        stats.set_troubles(self.troubles);
        stats.set_lag(self.lag);
        stats.set_portion(self.portion);
    }
}
