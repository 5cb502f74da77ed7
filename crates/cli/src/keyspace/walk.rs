//! A walk through an ordered keyspace, from either end, around what is damaged.
//!
//! A block that is damaged does not tell with which key the next one begins. What lies behind it is
//! found from the other end: the walk goes on with the key that can be reached from there.

use crate::{
    failure::{Failure, Result},
    output::brief,
    wanted::Wanted,
};
use annals::{ErrorKind, OrderedKeyspace, Range};
use std::ops::{Bound, ControlFlow};

type Ends = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Calls `each` with the records that are asked for, in their order, until it breaks.
pub(super) fn visit(
    keyspace: &OrderedKeyspace,
    wanted: &Wanted,
    mut each: impl FnMut(Result<(&[u8], &[u8])>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let reverse = wanted.reverse;
    let (from, to) = wanted.range();
    if to.as_ref().is_some_and(|to| *to <= from) {
        return Ok(());
    }
    let ends: Ends = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
    let mut walk = if wanted.from.is_none() && wanted.to.is_none() {
        // Tables whose filters exclude the prefix are not read.
        keyspace.prefix(&wanted.prefix)?
    } else {
        keyspace.range(ends.clone())?
    };
    let (mut last, mut was_damaged) = (None, false);
    loop {
        match step(&mut walk, reverse) {
            Ok(Some((key, value))) => {
                note(&mut last, key);
                if each(Ok((key, value)))?.is_break() {
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                let rest = behind(&ends, last.as_deref(), reverse);
                let next = if was_damaged { None } else { reached(keyspace, &rest, !reverse)? };
                let gap = gap(last.as_deref(), next.as_deref());
                if each(Err(Failure::from(error).context(&gap)))?.is_break() {
                    return Ok(());
                }
                let Some(next) = next else { return Ok(()) };
                let (from, to) = rest;
                let rest = if reverse {
                    (from, Bound::Included(next))
                } else {
                    (Bound::Included(next), to)
                };
                walk = keyspace.range(rest)?;
                was_damaged = true;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn step(walk: &mut Range, reverse: bool) -> annals::Result<Option<(&[u8], &[u8])>> {
    if reverse { walk.next_entry_back() } else { walk.next_entry() }
}

fn note(last: &mut Option<Vec<u8>>, key: &[u8]) {
    let last = last.get_or_insert_default();
    last.clear();
    last.extend_from_slice(key);
}

/// What of `ends` comes after `last`.
fn behind((from, to): &Ends, last: Option<&[u8]>, reverse: bool) -> Ends {
    match (last, reverse) {
        (None, _) => (from.clone(), to.clone()),
        (Some(last), false) => (Bound::Excluded(last.to_vec()), to.clone()),
        (Some(last), true) => (from.clone(), Bound::Excluded(last.to_vec())),
    }
}

/// The last key that a walk through `ends` comes to before it meets damage.
fn reached(keyspace: &OrderedKeyspace, ends: &Ends, reverse: bool) -> Result<Option<Vec<u8>>> {
    let mut walk = keyspace.range(ends.clone())?;
    let mut last = None;
    loop {
        match step(&mut walk, reverse) {
            Ok(Some((key, _))) => note(&mut last, key),
            Ok(None) => return Ok(last),
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(last),
            Err(error) => return Err(error.into()),
        }
    }
}

/// What is left out, for people.
fn gap(last: Option<&[u8]>, next: Option<&[u8]>) -> String {
    let told = |key: Option<&[u8]>, end: &str| {
        key.map_or_else(|| end.to_owned(), |key| format!("`{}`", brief(key)))
    };
    format!("between {} and {}", told(last, "one end"), told(next, "the other end"))
}
