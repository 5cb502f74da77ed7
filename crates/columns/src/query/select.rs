//! Which rows of a chunk are selected.

use crate::{
    CHUNK_ROWS, Mask, Result, RowSet,
    kernels::{self, Level},
    part::{NumberField, TextField, existing, rows_of},
};

/// Which rows of a chunk are selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selected {
    Nothing,
    /// All that the chunk has.
    Everything,
    Some(Mask),
}

/// Numbers of a chunk, unpacked.
pub(crate) struct Scratch {
    pub(crate) level: Level,
    pub(crate) narrow: [u32; CHUNK_ROWS],
    pub(crate) wide: [u64; CHUNK_ROWS],
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self { level: Level::best(), narrow: [0; CHUNK_ROWS], wide: [0; CHUNK_ROWS] }
    }
}

/// What is asked of the rows of a part.
#[derive(Clone, Debug)]
pub(crate) enum Node<'p> {
    Nothing,
    Everything,
    /// Rows from the first on and before the second.
    Rows(u32, u32),
    /// Rows that are listed.
    Set(RowSet<'p>),
    /// Rows that are selected in the mask of their chunk.
    Masks(Vec<Mask>),
    /// Numbers from the first to the second, as they are kept.
    Range(NumberField<'p>, u64, u64),
    /// Numbers that have all of the first bits and none of the second, of images.
    Bits(NumberField<'p>, u64, u64),
    /// Strings.
    Texts(TextField<'p>, TextTest),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

/// What is asked of a string.
#[derive(Clone, Debug)]
pub(crate) enum TextTest {
    Eq(String),
    AtLeast(String),
    AtMost(String),
    Prefix(String),
}

impl TextTest {
    fn holds(&self, text: &[u8]) -> bool {
        match self {
            Self::Eq(other) => text == other.as_bytes(),
            Self::AtLeast(other) => text >= other.as_bytes(),
            Self::AtMost(other) => text <= other.as_bytes(),
            Self::Prefix(prefix) => text.starts_with(prefix.as_bytes()),
        }
    }
}

/// A mask as it is best said, of a chunk that has the rows `all`.
pub(crate) fn selected(mask: Mask, all: Mask) -> Selected {
    let mask = both(mask, all);
    if mask == [0; 4] {
        Selected::Nothing
    } else if mask == all {
        Selected::Everything
    } else {
        Selected::Some(mask)
    }
}

pub(crate) fn both(one: Mask, other: Mask) -> Mask {
    std::array::from_fn(|n| one[n] & other[n])
}

impl Selected {
    pub(crate) fn mask(self, all: Mask) -> Mask {
        match self {
            Self::Nothing => [0; 4],
            Self::Everything => all,
            Self::Some(mask) => mask,
        }
    }
}

impl Node<'_> {
    /// Which rows of a chunk of a part of `rows_count` rows are selected.
    pub(crate) fn select(
        &self,
        chunk: usize,
        rows_count: usize,
        scratch: &mut Scratch,
    ) -> Result<Selected> {
        let all = existing(rows_count, chunk);
        Ok(match self {
            Self::Nothing => Selected::Nothing,
            Self::Everything => Selected::Everything,
            Self::Rows(from, to) => rows_between(chunk, *from, *to, all),
            Self::Set(set) => selected(set.mask(chunk as u32), all),
            Self::Masks(masks) => selected(masks.get(chunk).copied().unwrap_or_default(), all),
            Self::Range(field, low, high) => in_range(field, chunk, *low, *high, all, scratch)?,
            Self::Bits(field, set, unset) => {
                field.column.chunk(chunk)?.decode(scratch.level, &mut scratch.wide);
                let mut mask = [0; 4];
                for row in rows_of(0, all).map(|row| row as usize) {
                    let image = field.column.image(scratch.wide[row]);
                    mask[row / 64] |=
                        u64::from(image & set == *set && image & unset == 0) << (row % 64);
                }
                selected(present(field.present, chunk, mask), all)
            }
            Self::Texts(field, test) => {
                let mut mask = [0; 4];
                field.each(chunk, |at, text| {
                    mask[at / 64] |= u64::from(test.holds(text)) << (at % 64);
                })?;
                selected(present(field.present, chunk, mask), all)
            }
            Self::Not(node) => match node.select(chunk, rows_count, scratch)? {
                Selected::Nothing => Selected::Everything,
                Selected::Everything => Selected::Nothing,
                Selected::Some(mask) => selected(mask.map(|word| !word), all),
            },
            Self::And(nodes) => {
                let mut mask = all;
                for node in nodes {
                    match node.select(chunk, rows_count, scratch)? {
                        Selected::Nothing => return Ok(Selected::Nothing),
                        Selected::Everything => {}
                        Selected::Some(other) => mask = both(mask, other),
                    }
                    if mask == [0; 4] {
                        return Ok(Selected::Nothing);
                    }
                }
                selected(mask, all)
            }
            Self::Or(nodes) => {
                let mut mask = [0; 4];
                for node in nodes {
                    let other = node.select(chunk, rows_count, scratch)?.mask(all);
                    mask = std::array::from_fn(|n| mask[n] | other[n]);
                    if mask == all {
                        break;
                    }
                }
                selected(mask, all)
            }
        })
    }
}

fn present(set: Option<RowSet<'_>>, chunk: usize, mask: Mask) -> Mask {
    set.map_or(mask, |set| both(mask, set.mask(chunk as u32)))
}

pub(super) fn rows_between(chunk: usize, from: u32, to: u32, all: Mask) -> Selected {
    let start = chunk * CHUNK_ROWS;
    let from = (from as usize).saturating_sub(start);
    let to = (to as usize).saturating_sub(start).min(CHUNK_ROWS);
    if from >= to {
        return Selected::Nothing;
    }
    let mut mask = [0; 4];
    crate::part::select(&mut mask, from, to - 1);
    selected(mask, all)
}

fn in_range(
    field: &NumberField<'_>,
    chunk: usize,
    low: u64,
    high: u64,
    all: Mask,
    scratch: &mut Scratch,
) -> Result<Selected> {
    let zone = field.zones.zone(chunk);
    if zone.count == 0 || zone.max < low || zone.min > high {
        return Ok(Selected::Nothing);
    }
    let mask = if low <= zone.min && zone.max <= high {
        all
    } else {
        let numbers = field.column.chunk(chunk)?;
        let narrow = u32::try_from(field.column.meta().top).is_ok();
        match (u32::try_from(low), narrow) {
            (Ok(low), true) => {
                let high = u32::try_from(high).unwrap_or(u32::MAX);
                numbers.in_range_32(scratch.level, low, high, &mut scratch.narrow)
            }
            _ => {
                numbers.decode(scratch.level, &mut scratch.wide);
                kernels::in_range_64(scratch.level, &scratch.wide, low, high)
            }
        }
    };
    Ok(selected(present(field.present, chunk, mask), all))
}
