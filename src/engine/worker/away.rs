//! What sources have to say of what they read from, gathered at the close of an epoch.

use crate::engine::intake::Slot;
use crate::source::Trouble;
use crate::stats::Stats;

/// What is unavailable, left unread, or in trouble.
#[derive(Default)]
pub(super) struct Away {
    waits_for: Vec<String>,
    unread: Vec<String>,
    troubles: Vec<Trouble>,
}

impl Away {
    pub(super) fn hear(&mut self, slot: &Slot) {
        self.waits_for.extend(slot.waits_for());
        self.unread.extend(slot.unread());
        self.troubles.extend(slot.troubles());
    }

    pub(super) fn tell(self, stats: &Stats) {
        stats.set_waits_for(self.waits_for);
        stats.set_unread(self.unread);
        stats.set_troubles(self.troubles);
    }
}
