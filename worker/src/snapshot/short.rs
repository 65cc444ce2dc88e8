//! What this machine ran short of while a snapshot was taken. What cannot be opened for want of a descriptor looks like
//! what may not be read: ignore rules, folders, a whole repository would be missing from the snapshot without an error.
//! A snapshot is taken by one thread.

use std::cell::RefCell;
use std::io;
use std::path::Path;

use rustix::io::Errno;

use super::SnapshotError;
use crate::shortage::{is_shortage, try_to_write};

/// What git may write into its private folder without our seeing it fail.
const ROOM_BYTES: usize = 64 << 10;

thread_local! {
    static SHORT: RefCell<Option<Errno>> = const { RefCell::new(None) };
}

/// Forgets what an earlier attempt on this thread ran short of.
pub(super) fn begin() {
    SHORT.take();
}

/// Remembers an error if it is a shortage.
pub(super) fn notice(error: &io::Error) {
    if is_shortage(error) {
        SHORT.replace(Errno::from_io_error(error));
    }
}

/// As [`notice`], for use in passing.
pub(super) fn noticed(error: io::Error) -> io::Error {
    notice(&error);
    error
}

/// After something failed in a folder of ours without saying why: sees whether it can be written at all.
pub(super) fn look_for_room(folder: &Path) {
    if let Err(error) = try_to_write(folder, ROOM_BYTES) {
        notice(&error);
    }
}

/// Fails when there was a shortage: what was taken since may lack anything.
pub(super) fn check(folder: &Path) -> Result<(), SnapshotError> {
    let Some(error) = SHORT.take().map(io::Error::from) else {
        return Ok(());
    };
    let text = format!(
        "it would be incomplete: {error} (taken in {}: look at its space, and at the limits of the worker's process, \
         LimitNOFILE= in its unit)",
        folder.display()
    );
    Err(SnapshotError::of(&error, text))
}
