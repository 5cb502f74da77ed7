//! Writing sets of rows.

use super::{BITS, BITS_BYTES, DIVISION, ENTRY_BYTES, KIND_SHIFT, LIST, RUNS};

/// Appends a set of these rows, which are in order, each once.
pub(crate) fn encode(rows: &[u32], out: &mut Vec<u8>) {
    encode_below(0, rows, out);
}

/// Appends a set of the rows below `below` and of these, which are not below it and in order, each once.
pub(super) fn encode_below(below: u32, rows: &[u32], out: &mut Vec<u8>) {
    let start = out.len();
    let (whole, rest) = (below / DIVISION, below % DIVISION);
    // Those that share a division with the end of the rows below.
    let beside = rows.iter().take_while(|row| rest > 0 && *row / DIVISION == whole).count();
    let (beside, behind) = rows.split_at(beside);
    let divisions: Vec<&[u32]> = behind.chunk_by(|a, b| a / DIVISION == b / DIVISION).collect();
    let count = whole as usize + usize::from(rest > 0) + divisions.len();
    out.extend_from_slice(&(count as u32).to_le_bytes());
    out.extend_from_slice(&(below + rows.len() as u32).to_le_bytes());
    let mut entries = Vec::with_capacity(ENTRY_BYTES * count);
    let entries_at = out.len();
    out.resize(entries_at + ENTRY_BYTES * count, 0);
    let mut enter = |key: u32, rows: usize, kind: u32, at: usize| {
        entries.extend_from_slice(&(key as u16).to_le_bytes());
        entries.extend_from_slice(&((rows - 1) as u16).to_le_bytes());
        let place = ((at - start) / 2) as u32;
        entries.extend_from_slice(&(kind << KIND_SHIFT | place).to_le_bytes());
    };
    // Divisions that are there as a whole are alike, and lie at one place.
    let at = out.len();
    if whole > 0 {
        put_runs(&[(0, (DIVISION - 1) as u16)], out);
    }
    (0..whole).for_each(|key| enter(key, DIVISION as usize, RUNS, at));
    if rest > 0 {
        let at = out.len();
        let mut runs = vec![(0, (rest - 1) as u16)];
        runs.extend(runs_of(beside));
        enter(whole, rest as usize + beside.len(), put(&runs, None, out), at);
    }
    for rows in divisions {
        let at = out.len();
        let kind = put(&runs_of(rows).collect::<Vec<_>>(), Some(rows), out);
        enter(rows[0] / DIVISION, rows.len(), kind, at);
    }
    out[entries_at..][..entries.len()].copy_from_slice(&entries);
}

/// The first and last of rows that follow each other, in their division.
fn runs_of(rows: &[u32]) -> impl Iterator<Item = (u16, u16)> {
    let runs = rows.chunk_by(|one, other| one + 1 == *other);
    runs.map(|run| (run[0] as u16, run[run.len() - 1] as u16))
}

/// Appends the rows of a division, which are these runs, in the shortest way, and says which that is. One by one only
/// if they are given so.
fn put(runs: &[(u16, u16)], rows: Option<&[u32]>, out: &mut Vec<u8>) -> u32 {
    let list_bytes = rows.map_or(usize::MAX, |rows| 2 * rows.len());
    if 2 + 4 * runs.len() < list_bytes.min(BITS_BYTES) {
        put_runs(runs, out);
        return RUNS;
    }
    if let Some(rows) = rows.filter(|_| list_bytes <= BITS_BYTES) {
        rows.iter().for_each(|row| out.extend_from_slice(&(*row as u16).to_le_bytes()));
        return LIST;
    }
    let bits = out.len();
    out.resize(bits + BITS_BYTES, 0);
    for row in runs.iter().flat_map(|(first, last)| *first..=*last).map(usize::from) {
        out[bits + row / 8] |= 1 << (row % 8);
    }
    BITS
}

fn put_runs(runs: &[(u16, u16)], out: &mut Vec<u8>) {
    out.extend_from_slice(&(runs.len() as u16).to_le_bytes());
    for (first, last) in runs {
        out.extend_from_slice(&first.to_le_bytes());
        out.extend_from_slice(&last.to_le_bytes());
    }
}
