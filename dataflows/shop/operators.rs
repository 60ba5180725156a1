//! The operators of the movie shop, one file and one law each.

pub mod carts;
pub mod minutes;
pub mod prices;
pub mod segments;
pub mod sessions;
pub mod versions;

/// Makes a user's id that of nobody; tells whether it was the user's.
fn renamed(id: &mut u64, user: u64, nobody: u64) -> bool {
    let is_users = *id == user;
    if is_users {
        *id = nobody;
    }
    is_users
}

/// Makes a user's record that of nobody, where the user comes first.
pub(super) fn rename<T>(record: &mut (u64, T), user: u64, nobody: u64) -> bool {
    renamed(&mut record.0, user, nobody)
}

/// The same, where the user comes second.
pub(super) fn rename_second<T>(record: &mut (T, u64), user: u64, nobody: u64) -> bool {
    renamed(&mut record.1, user, nobody)
}
