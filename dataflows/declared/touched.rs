//! Which groups an epoch touches, and what changes of their rows.

use crate::broken::{Law, is_broken};
use crate::declared::fold::{Folding, Reading};
use crate::declared::rows::{Group, OfGroup, Rows};
use crate::declared::said::{GroupKey, keys, number};
use crate::deltas::{Page, empty};
use crate::dense::Dense;
use crate::time::Instant;
use std::ops::Range;

/// The groups whose rows may change in an epoch, each once, and what their rows were. It keeps its memory from epoch to epoch.
#[derive(Default)]
pub struct Touched {
    groups: Vec<(u32, Had)>,
    /// Of all rows that were, what may change.
    packed: Vec<u8>,
    /// Of each metric, the rows that changed, as they are met.
    written: Vec<Page>,
}

/// The row that a group had, by where in `packed` it stands; none of a group that is new or was not shown.
type Had = Option<Range<usize>>;

impl Touched {
    /// Whether a group is among them: what its mark says may be of an epoch before.
    pub fn has(&self, mark: u32, place: u32) -> bool {
        self.groups.get(mark as usize).is_some_and(|(touched, _)| *touched == place)
    }

    /// A group, with the row that it has until now; its mark.
    pub fn add(&mut self, place: u32, row: Option<(&Rows, OfGroup<'_>)>) -> u32 {
        let had = row.filter(|(rows, group)| rows.is_shown(group)).map(|(rows, group)| {
            let start = self.packed.len();
            rows.packed(&group, &mut self.packed);
            start..self.packed.len()
        });
        self.groups.push((place, had));
        u32::try_from(self.groups.len() - 1).unwrap_or(u32::MAX)
    }

    /// The places of the groups.
    pub fn places(&self) -> impl Iterator<Item = u32> {
        self.groups.iter().map(|(place, _)| *place)
    }

    /// What changed, of the table of each metric that has one. Nothing is touched any more.
    pub fn changes(
        &mut self,
        groups: &Dense<GroupKey, Group>,
        rows: &[Rows],
        passed: &[Instant],
        out: &mut Vec<(u16, Page)>,
        (readings, folding): (&[Reading], &mut Folding),
    ) {
        let Touched { groups: touched, packed, written } = self;
        written.resize_with(rows.len(), Page::default);
        let mut spare = Vec::new();
        for (n, (place, had)) in touched.iter().enumerate() {
            if n % TOGETHER == 0 {
                let some = &touched[n..touched.len().min(n + TOGETHER)];
                look_at(groups, some.iter().map(|(place, _)| *place));
            }
            let (key, group) = groups.at(*place);
            let Some(of_metric) = rows.get(number(key)) else { continue };
            let group = of_metric.of_group(key, group, passed[number(key)]);
            let is_shown = of_metric.is_shown(&group);
            if let Some(had) = had
                && is_shown
            {
                spare.clear();
                of_metric.packed(&group, &mut spare);
                if spare == packed[had.clone()] && !is_broken(Law::OnlyChangesAreSaid) {
                    continue;
                }
            }
            if let (Some(readers), Some(reading)) = (&of_metric.read_by, readings.get(number(key))) {
                let had = had.clone().map(|had| &packed[had]);
                let is_same = had.is_some_and(|had| is_shown && readers.part(had) == readers.part(&spare));
                if !is_same || is_broken(Law::OnlyChangesAreSaid) {
                    if let Some(had) = had {
                        folding.take(reading, &of_metric.read_packed(readers, keys(key), had), Some(-1));
                    }
                    if is_shown {
                        folding.take(reading, &of_metric.read_row(readers, &group), Some(1));
                    }
                }
            }
            if of_metric.table.is_some() && (is_shown || had.is_some()) {
                of_metric.write(is_shown, &group, &mut written[number(key)]);
            }
        }
        touched.clear();
        for (page, of_metric) in written.iter_mut().zip(rows) {
            let Some(table) = of_metric.table.filter(|_| !page.is_empty()) else { continue };
            out.extend(page.in_order().into_iter().map(|page| (table, page)));
        }
        empty(packed);
    }
}

/// So many groups are looked at before anything is done with one. What is kept of them is in no cache, and stands in three
/// places: all are waited for together.
pub const TOGETHER: usize = 32;

/// Looks at groups that are about to be met.
pub fn look_at(groups: &Dense<GroupKey, Group>, places: impl Iterator<Item = u32> + Clone) {
    let groups = || places.clone().filter_map(|place| groups.standing(place));
    let entries: usize = groups().map(|(key, group)| key.len() + group.words.len()).sum();
    let behind: usize = groups().map(|(key, group)| number(key) + group.held().len()).sum();
    std::hint::black_box(entries + behind);
}
