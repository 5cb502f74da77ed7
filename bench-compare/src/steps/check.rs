//! Checks that what was written is there, outside the timing.

use crate::Result;
use crate::data::{Key, is_value};
use crate::engine::{Engine, ReadJob, Reader};

/// What a key is expected to show.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// The value of that version.
    Version(u64),
    /// Nothing.
    Absent,
}

/// Checks every key of `keys`.
pub(crate) fn check<E: Engine>(
    db: &E,
    keys: impl Iterator<Item = Key>,
    expected: Expected,
) -> Result<()> {
    db.read(&mut Check { keys: Some(keys), expected })
}

struct Check<I> {
    keys: Option<I>,
    expected: Expected,
}

impl<I: Iterator<Item = Key>> ReadJob for Check<I> {
    fn run<R: Reader>(&mut self, reader: &R) -> Result<()> {
        for key in self.keys.take().into_iter().flatten() {
            let right = match self.expected {
                Expected::Version(version) => {
                    reader.get(&key, |value| is_value(value, &key, version))? == Some(true)
                }
                Expected::Absent => reader.get(&key, |_| ())?.is_none(),
            };
            if !right {
                return Err(format!("key {key:02x?} is not {:?}", self.expected).into());
            }
        }
        Ok(())
    }
}
