//! A walk through an ordered keyspace, from either end, around what is damaged.

use crate::{
    failure::{Failure, Result},
    wanted::Wanted,
};
use annals::{ErrorKind, Keys, OrderedKeyspace, Range, Value};
use std::{
    collections::HashSet,
    ops::{Bound, ControlFlow},
};

type Ends = (Bound<Vec<u8>>, Bound<Vec<u8>>);
type Found<'a> = Result<(&'a [u8], &'a [u8])>;

/// Around damage keys are found from the first on. Backwards so many of them are taken at a time.
const STEP_KEYS: usize = 64;

/// Calls `each` with the records that are asked for, in their order, until it breaks. Without
/// `with_values` values are empty, and not looked at.
pub(super) fn visit(
    keyspace: &OrderedKeyspace,
    wanted: &Wanted,
    with_values: bool,
    mut each: impl FnMut(Found<'_>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let reverse = wanted.reverse;
    let (from, to) = wanted.range();
    if to.as_ref().is_some_and(|to| *to <= from) {
        return Ok(());
    }
    let ends: Ends = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
    let walk = if wanted.from.is_none() && wanted.to.is_none() {
        // Tables whose filters exclude the prefix are not read.
        keyspace.prefix(&wanted.prefix)?
    } else {
        keyspace.range(ends.clone())?
    };
    let mut walk = if with_values { Walk::Records(walk) } else { Walk::Keys(walk.keys(), None) };
    let mut last: Option<Vec<u8>> = None;
    loop {
        match walk.step(reverse) {
            Ok(Some((key, value))) => {
                let last = last.get_or_insert_default();
                last.clear();
                last.extend_from_slice(key);
                if each(Ok((key, value)))?.is_break() {
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Corrupt => break,
            Err(error) => return Err(error.into()),
        }
    }
    let rest = behind(ends, last, reverse);
    if reverse {
        salvage_back(keyspace, &rest, with_values, each)
    } else {
        salvage(keyspace, rest, with_values, &mut each)
    }
}

/// A walk that ends at damage.
enum Walk {
    Records(Range),
    Keys(Keys, Option<Value>),
}

impl Walk {
    fn step(&mut self, reverse: bool) -> annals::Result<Option<(&[u8], &[u8])>> {
        match self {
            Self::Records(walk) => {
                if reverse {
                    walk.next_entry_back()
                } else {
                    walk.next_entry()
                }
            }
            Self::Keys(walk, key) => {
                let next = if reverse { walk.next_back() } else { walk.next() };
                *key = next.transpose()?;
                Ok(key.as_deref().map(|key| (key, &[][..])))
            }
        }
    }
}

/// What of `ends` comes after `last`.
fn behind((from, to): Ends, last: Option<Vec<u8>>, reverse: bool) -> Ends {
    match (last, reverse) {
        (None, _) => (from, to),
        (Some(last), false) => (Bound::Excluded(last), to),
        (Some(last), true) => (from, Bound::Excluded(last)),
    }
}

/// Goes through a range around damage, from its first key on.
fn salvage(
    keyspace: &OrderedKeyspace,
    ends: Ends,
    with_values: bool,
    each: &mut dyn FnMut(Found<'_>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut found = keyspace.salvage(ends)?;
    loop {
        let flow = if with_values {
            match found.next() {
                Some(Ok(entry)) => each(Ok((entry.key(), entry.value())))?,
                Some(Err(error)) => each(Err(Failure::from(error)))?,
                None => return Ok(()),
            }
        } else {
            match found.next_key() {
                Some(Ok(key)) => each(Ok((key.as_slice(), &[][..])))?,
                Some(Err(error)) => each(Err(Failure::from(error)))?,
                None => return Ok(()),
            }
        };
        if flow.is_break() {
            return Ok(());
        }
    }
}

/// The same from the last key back: once through the keys to mark every so many of them, and then from mark
/// to mark.
fn salvage_back(
    keyspace: &OrderedKeyspace,
    (from, to): &Ends,
    with_values: bool,
    mut each: impl FnMut(Found<'_>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let (mut marks, mut count) = (vec![from.clone()], 0);
    let ends = (from.clone(), to.clone());
    let marked = salvage(keyspace, ends, false, &mut |found| {
        if let Ok((key, _)) = found {
            count += 1;
            if count % STEP_KEYS == 0 {
                marks.push(Bound::Included(key.to_vec()));
            }
        }
        Ok(ControlFlow::Continue(()))
    });
    marked?;
    // A damaged place may reach over several marks, and is told once.
    let mut told = HashSet::new();
    let mut end = to.clone();
    for mark in marks.into_iter().rev() {
        let mut step: Vec<Result<(Vec<u8>, Vec<u8>)>> = Vec::new();
        let ends = (mark.clone(), end);
        let taken = salvage(keyspace, ends, with_values, &mut |found| {
            step.push(found.map(|(key, value)| (key.to_vec(), value.to_vec())));
            Ok(ControlFlow::Continue(()))
        });
        taken?;
        for found in step.into_iter().rev() {
            let flow = match found {
                Ok((key, value)) => each(Ok((key.as_slice(), value.as_slice())))?,
                Err(failure) if told.insert(failure.to_string()) => each(Err(failure))?,
                Err(_) => continue,
            };
            if flow.is_break() {
                return Ok(());
            }
        }
        end = match mark {
            Bound::Included(key) | Bound::Excluded(key) => Bound::Excluded(key),
            Bound::Unbounded => Bound::Unbounded,
        };
    }
    Ok(())
}
