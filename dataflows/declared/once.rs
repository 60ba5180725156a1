//! By what declared events are known again.

use crate::declared::encode;
use crate::declared::row::Row;
use crate::persons::Renaming;
use crate::sip;
use crate::state::Forgets;
use crate::time::Instant;

/// Not secret, so that who may choose texts could choose two that hash alike. A key of its own for each `state_dir` would
/// be better: it would come in here.
const KEY: [u64; 2] = [0x7461_6d61_7274_6c65, 0x6f6e_6365_0000_0001];

/// What stands for an event in the columns by which it is known again.
pub fn print(row: &Row, of: &[usize], spare: &mut Vec<u8>) -> u128 {
    // Nearly always all columns count, in their order.
    if of.iter().copied().eq(0..row.columns()) {
        return sip::hash(KEY, encode::of_row(row, spare));
    }
    spare.clear();
    of.iter().for_each(|place| encode::push_column(row, *place, false, spare));
    sip::hash(KEY, spare)
}

/// How what is kept forgets a person. Whoever guesses an event can say its hash, so that a hash names somebody as the
/// event does: that of the event of nobody takes its place. SQL over the raw rows, which are nobody's too, says the same: the
/// same event of the same person, if it comes again, is another one, of somebody new.
pub const FORGETS: Forgets<(Instant, u128)> =
    Forgets::Renames(|(_, print), Renaming { person: _, nobody: _, prints }| match prints.get(print) {
        Some(renamed) => {
            *print = *renamed;
            true
        }
        None => false,
    });
