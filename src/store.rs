//! The seam to where state is kept: whole objects under keys, in a folder or in a bucket.
//!
//! A key is names joined by `/`: letters, digits, `-`, `_`, `.`, `=`, and no name begins with a dot.
//! No key is the folder of another one. In a folder of the file system, folders stay when their
//! objects go: few of them, then, and many objects in each.
//!
//! A store promises that an object is there whole or not at all, that of those who create the same
//! key one succeeds, and that what was answered survives the loss of power. So does what was there
//! when the store was opened: nobody can act on something that a loss of power then takes away.
//!
//! It does not promise that a delete survives, nor that what failed was not done: after an error an
//! object may be there or not, and a `create` tried again may find its own.

pub mod disk;
pub mod local;
pub mod lock;
#[cfg(feature = "object-store")]
pub mod objects;
pub mod simulated;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod crashes;

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It may succeed later: there is no space, no permission, no network for now.
    #[error("{0}")]
    Unavailable(String),
    /// It will not succeed.
    #[error("{0}")]
    Failed(String),
}

/// Where state is kept: whole objects under keys such as `journal/00000003-000000000042`.
pub trait Store: Send + Sync {
    /// Makes an object unless there is one; durable once it answers. `false`: there was one.
    ///
    /// That one may hold the same bytes, and then it may be ours: from an attempt that failed after it
    /// was done, or whose answer a network lost. A caller that must know compares.
    ///
    /// # Errors
    /// If the object could not be made, or not be made durable; it may be there all the same.
    fn create(&self, key: &str, bytes: &[u8]) -> Result<bool, StoreError>;

    /// Makes or replaces an object whole; durable once it answers.
    ///
    /// # Errors
    /// As for [`Store::create`]: what was there before may be there or not.
    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// Like [`Store::put`], but a loss of power may take it away or leave it cut short: a heartbeat.
    /// A key is always put lightly, or never.
    ///
    /// # Errors
    /// As for [`Store::put`].
    fn put_lightly(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// The object, if there is one.
    ///
    /// # Errors
    /// If it cannot be read, or if nobody can say whether there is one.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Several objects, each as by [`Store::get`], in the order of their keys. A store whose requests take their time asks
    /// for all at once: name some sixteen at a time.
    ///
    /// # Errors
    /// The first of theirs.
    fn get_all(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// The keys that begin so, sorted. What is made or deleted meanwhile may be among them or not.
    ///
    /// # Errors
    /// If they cannot be read.
    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError>;

    /// Makes durable whatever can be read now, no matter which process made it: another one may be between making an
    /// object and making it durable.
    ///
    /// # Errors
    /// If it cannot be.
    fn settle(&self) -> Result<(), StoreError>;

    /// Removes an object; that there is none is not an error. A loss of power may bring it back.
    ///
    /// # Errors
    /// If it could not be removed.
    fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// The folder or the URL, for messages.
    fn place(&self) -> String;
}

/// Names what Git leaves alone in the folder it is in. A key of ours never begins with a dot.
const IGNORED_BY_GIT: &str = ".gitignore";

/// Opens the store at a path or a `file://` URL, whose folder is made if it is missing; or at the URL
/// of a bucket, if this was built with the feature `object-store`.
///
/// # Errors
/// If the place cannot be used, or is of a kind unknown here.
pub fn open(place: &str) -> Result<Arc<dyn Store>, StoreError> {
    match place.split_once("://") {
        None => open_folder(place),
        Some(("file", path)) if path.starts_with('/') => open_folder(path),
        Some(("file", _)) => {
            let detail = "a `file://` URL names a folder from `/` on, as `file:///var/x`";
            Err(StoreError::Failed(format!("could not open `{place}`: {detail}")))
        }
        #[cfg(feature = "object-store")]
        Some(_) => Ok(Arc::new(objects::Objects::open(place)?)),
        // The URL is not repeated: it may hold a password.
        #[cfg(not(feature = "object-store"))]
        Some((scheme, _)) => {
            let hint = "build with `--features object-store`, or name a folder";
            Err(StoreError::Failed(format!(
                "could not open a store at `{scheme}://...`: buckets are not built in; {hint}"
            )))
        }
    }
}

/// Opens a folder; one that is made now keeps itself out of repositories of source code, as far as it can.
fn open_folder(path: &str) -> Result<Arc<dyn Store>, StoreError> {
    let is_new = !Path::new(path).exists();
    let store = local::Local::open(path)?;
    if is_new {
        let file = Path::new(path).join(IGNORED_BY_GIT);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
        made.and_then(|mut file| file.write_all(b"*\n")).ok();
    }
    Ok(Arc::new(store))
}

/// Opens the store at a place only to read it: nothing is made or tidied up.
///
/// # Errors
/// As for [`open`].
pub fn open_to_read(place: &str) -> Result<Arc<dyn Store>, StoreError> {
    match folder_of(place) {
        Some(folder) => Ok(Arc::new(local::Local::to_read(disk::RealDisk, folder))),
        None => open(place),
    }
}

/// Opens the store at a place in which another process of the same run is at work: nothing is tidied up.
///
/// # Errors
/// As for [`open`]; and if there is no such folder.
pub fn open_beside(place: &str) -> Result<Arc<dyn Store>, StoreError> {
    match folder_of(place) {
        Some(folder) => Ok(Arc::new(local::Local::beside(disk::RealDisk, folder)?)),
        None => open(place),
    }
}

/// Whether something may be kept at a place: a folder that is there, or a bucket.
pub fn may_exist(place: &str) -> bool {
    folder_of(place).is_none_or(|folder| std::path::Path::new(folder).exists())
}

/// The folder at a place, if it is one.
fn folder_of(place: &str) -> Option<&str> {
    place.strip_prefix("file://").or((!place.contains("://")).then_some(place))
}

/// Whether this may be one of the names that a key is made of.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=".contains(&byte);
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(allowed)
}

/// That a key may be used in any store. The rules are those of the strictest.
fn check_key(key: &str) -> Result<(), StoreError> {
    if key.split('/').all(is_name) { Ok(()) } else { Err(not_a_key(key)) }
}

/// That some key may begin so.
fn check_prefix(prefix: &str) -> Result<(), StoreError> {
    let (folder, begun) = prefix.rsplit_once('/').unwrap_or(("", prefix));
    let folder_fits = prefix == begun || folder.split('/').all(is_name);
    if folder_fits && (begun.is_empty() || is_name(begun)) { Ok(()) } else { Err(not_a_key(prefix)) }
}

fn not_a_key(key: &str) -> StoreError {
    let rule = "names of letters, digits, `-`, `_`, `.` and `=`, joined by `/`, none beginning with a dot";
    StoreError::Failed(format!("`{key}` cannot be a key of a store: a key is {rule}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_every_store_can_hold() {
        for key in ["a", "journal/00000003-000000000042", "a.b/c_d=e"] {
            assert_eq!(check_key(key), Ok(()));
            assert_eq!(check_prefix(key), Ok(()));
        }
        for key in ["", "/a", "a/", "a//b", ".a", "a/../b", "a b", "a/.x", "ä", "a\\b"] {
            assert!(check_key(key).is_err(), "{key}");
        }
        for prefix in ["", "a/", "a/b/", "a/b"] {
            assert_eq!(check_prefix(prefix), Ok(()), "{prefix}");
        }
        for prefix in ["/", "//", "a//", "../", "a/../b", "a/."] {
            assert!(check_prefix(prefix).is_err(), "{prefix}");
        }
    }

    #[test]
    fn a_place_is_a_path_or_a_url() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("state").display().to_string();
        open(&path).expect("a path").put("a", b"1").expect("put");
        assert_eq!(open(&format!("file://{path}")).expect("a URL").get("a"), Ok(Some(b"1".to_vec())));
        let message = |place: &str| open(place).map(drop).expect_err("no store").to_string();
        assert!(message("file://state").ends_with("as `file:///var/x`"));
        #[cfg(not(feature = "object-store"))]
        assert!(
            message("s3://user:hunter22@bucket").ends_with("build with `--features object-store`, or name a folder")
        );
    }
}
