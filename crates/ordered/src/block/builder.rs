//! Putting a block together.

use super::{COUNT_MAX, DIGEST_BYTES, HEAD_BYTES, Lengths, code, digest};
use crate::{Entry, EntryKind, number::width_of};

/// Collects entries for a block.
#[derive(Debug, Default)]
pub(crate) struct BlockBuilder {
    keys: Vec<u8>,
    values: Vec<u8>,
    rows: Vec<Row>,
    /// What the entries have in common, as long as they do.
    alike: Option<Alike>,
}

/// What entries have in common that all look alike, as most do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Alike {
    key_len: usize,
    value_len: usize,
    code: u8,
}

/// An entry in a builder.
#[derive(Clone, Copy, Debug)]
struct Row {
    key_end: usize,
    value_end: usize,
    seq: u64,
    kind: EntryKind,
    expires_ms: Option<u64>,
}

/// What an entry takes besides its key and value, about: its end, its kind or its number.
const ROW_BYTES: usize = 3;

impl BlockBuilder {
    /// Adds an entry behind those that are there; the caller keeps the order.
    #[inline]
    pub(crate) fn add(&mut self, entry: &Entry<'_>) {
        let (key_len, value_len) = (entry.key.len(), entry.value.len());
        let alike = Some(Alike { key_len, value_len, code: code_of(entry) });
        if self.rows.is_empty() {
            self.alike = alike;
        } else if self.alike != alike {
            self.alike = None;
        }
        self.keys.extend_from_slice(entry.key);
        self.values.extend_from_slice(entry.value);
        self.rows.push(Row {
            key_end: self.keys.len(),
            value_end: self.values.len(),
            seq: entry.seq,
            kind: entry.kind,
            expires_ms: entry.expires_ms,
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn count(&self) -> usize {
        self.rows.len()
    }

    /// About how many bytes the block has now; keys count as if nothing of them were shared.
    pub(crate) fn size_bytes(&self) -> usize {
        HEAD_BYTES + self.keys.len() + self.values.len() + ROW_BYTES * self.rows.len()
    }

    /// Whether an entry of this size would make the block larger than `limit_bytes`, or its entries
    /// more than it can count. An empty block takes any entry.
    pub(crate) fn is_full_for(&self, key: &[u8], value_bytes: usize, limit_bytes: usize) -> bool {
        let more = key.len() + value_bytes + ROW_BYTES;
        !self.is_empty() && (self.count() == COUNT_MAX || self.size_bytes() + more > limit_bytes)
    }

    /// The key of the first entry and its number.
    pub(crate) fn first(&self) -> Option<(&[u8], u64)> {
        (!self.is_empty()).then(|| (self.entry(0).key, self.rows[0].seq))
    }

    /// Appends the block to `out` and begins the next.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        match self.alike {
            Some(alike) if alike.key_len > 0 && alike.code & code::EXPIRES == 0 => {
                self.encode_alike(alike, out);
            }
            _ => encode(self.count(), |at| self.entry(at), out),
        }
        self.keys.clear();
        self.values.clear();
        self.rows.clear();
    }

    /// As [`encode`], of entries that never expire and have in common what `alike` says: no entry is looked at
    /// more often than each column asks for.
    fn encode_alike(&self, alike: Alike, out: &mut Vec<u8>) {
        let Alike { key_len, value_len, code } = alike;
        let count = self.rows.len();
        assert!((1..=COUNT_MAX).contains(&count), "a block of {count} entries");
        let keys = || self.keys.chunks_exact(key_len);
        let (first, last) = (&self.keys[..key_len], &self.keys[self.keys.len() - key_len..]);
        let prefix_len = shared(first, last).min(usize::from(u16::MAX));
        let tail_len = key_len - prefix_len;
        // Of the key, what is neither in the prefix nor in the digest.
        let rest = prefix_len + tail_len.min(DIGEST_BYTES);
        let seqs = || self.rows.iter().map(|row| row.seq);
        let (seq_base, seq_max) =
            seqs().fold((u64::MAX, 0), |(min, max), seq| (min.min(seq), max.max(seq)));
        let shape = Shape {
            prefix_len,
            tails: Lengths::Same,
            tail_len,
            ends: Lengths::Same,
            stride: key_len - rest + value_len,
            code: Some(code),
            seq_base,
            seq_width: width_of(seq_max - seq_base),
            expires: false,
            expiry_base: 0,
            expiry_width: 0,
        };
        out.reserve(HEAD_BYTES + 16 + key_len + count * (16 + shape.stride));
        shape.put_head(count, out);
        out.extend_from_slice(&first[..prefix_len]);
        for key in keys() {
            out.extend_from_slice(&digest(&key[prefix_len..]).to_le_bytes());
        }
        put_numbers(seqs().map(|seq| seq - seq_base), shape.seq_width, out);
        for (at, key) in keys().enumerate() {
            out.extend_from_slice(&key[rest..]);
            out.extend_from_slice(&self.values[at * value_len..][..value_len]);
        }
    }

    fn entry(&self, at: usize) -> Entry<'_> {
        let row = self.rows[at];
        let (key_start, value_start) = match at.checked_sub(1) {
            Some(before) => (self.rows[before].key_end, self.rows[before].value_end),
            None => (0, 0),
        };
        Entry {
            key: &self.keys[key_start..row.key_end],
            seq: row.seq,
            kind: row.kind,
            expires_ms: row.expires_ms,
            value: &self.values[value_start..row.value_end],
        }
    }
}

/// Appends a block of one entry to `out`, whose value is copied only there.
pub(crate) fn encode_one(entry: &Entry<'_>, out: &mut Vec<u8>) {
    encode(1, |_| *entry, out);
}

/// Appends a block of `count` entries to `out`.
///
/// # Panics
/// If there are no entries, or more than a block can have.
pub(super) fn encode<'a>(count: usize, entry: impl Fn(usize) -> Entry<'a>, out: &mut Vec<u8>) {
    assert!((1..=COUNT_MAX).contains(&count), "a block of {count} entries");
    let shape = Shape::of(count, &entry);
    let prefix = &entry(0).key[..shape.prefix_len];
    let tail = |at: usize| &entry(at).key[shape.prefix_len..];
    shape.put_head(count, out);
    out.extend_from_slice(prefix);
    for at in 0..count {
        out.extend_from_slice(&digest(tail(at)).to_le_bytes());
    }
    match shape.tails {
        Lengths::Same => {}
        Lengths::Narrow => out.extend((0..count).map(|at| tail(at).len() as u8)),
        Lengths::Wide => {
            (0..count).for_each(|at| out.extend_from_slice(&(tail(at).len() as u32).to_le_bytes()));
        }
    }
    if shape.code.is_none() {
        out.extend((0..count).map(|at| code_of(&entry(at))));
    }
    for at in 0..count {
        let number = entry(at).seq - shape.seq_base;
        out.extend_from_slice(&number.to_le_bytes()[..shape.seq_width]);
    }
    for at in 0..count {
        let number = entry(at).expires_ms.map_or(0, |ms| ms - shape.expiry_base);
        out.extend_from_slice(&number.to_le_bytes()[..shape.expiry_width]);
    }
    let mut end = 0;
    for at in 0..count {
        end += row_bytes(tail(at), entry(at).value);
        match shape.ends {
            Lengths::Same => {}
            Lengths::Narrow => out.extend_from_slice(&(end as u16).to_le_bytes()),
            Lengths::Wide => out.extend_from_slice(&(end as u32).to_le_bytes()),
        }
    }
    for at in 0..count {
        out.extend_from_slice(tail(at).get(DIGEST_BYTES..).unwrap_or_default());
        out.extend_from_slice(entry(at).value);
    }
}

/// Appends numbers of so many bytes each; at most eight.
fn put_numbers(numbers: impl ExactSizeIterator<Item = u64>, width: usize, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let (start, len) = (out.len(), numbers.len() * width);
    // Each is written whole, and the next one over what it has too much.
    out.resize(start + len + size_of::<u64>(), 0);
    for (at, number) in numbers.enumerate() {
        if let Some(place) = out[start + at * width..].first_chunk_mut() {
            *place = number.to_le_bytes();
        }
    }
    out.truncate(start + len);
}

#[inline]
fn code_of(entry: &Entry<'_>) -> u8 {
    code::of(entry.kind, entry.expires_ms.is_some())
}

/// What the rest of a tail and a value take.
fn row_bytes(tail: &[u8], value: &[u8]) -> usize {
    tail.len().saturating_sub(DIGEST_BYTES) + value.len()
}

/// What all entries of a block have in common, and how wide the rest is.
struct Shape {
    prefix_len: usize,
    tails: Lengths,
    tail_len: usize,
    ends: Lengths,
    stride: usize,
    code: Option<u8>,
    seq_base: u64,
    seq_width: usize,
    expires: bool,
    expiry_base: u64,
    expiry_width: usize,
}

impl Shape {
    fn of<'a>(count: usize, entry: &impl Fn(usize) -> Entry<'a>) -> Self {
        let (first, last) = (entry(0), entry(count - 1));
        // In order, so what the outermost share all share.
        let prefix_len = shared(first.key, last.key).min(usize::from(u16::MAX));
        let tail = |entry: &Entry<'a>| &entry.key[prefix_len..];
        let stride = row_bytes(tail(&first), first.value);
        let (mut tail_max, mut same_tails, mut same_rows, mut end) = (0, true, true, 0);
        let mut code = Some(code_of(&first));
        let (mut seq_min, mut seq_max) = (u64::MAX, 0);
        let mut expiries: Option<(u64, u64)> = None;
        for at in 0..count {
            let entry = entry(at);
            let tail = tail(&entry);
            tail_max = tail_max.max(tail.len());
            same_tails &= tail.len() == first.key.len() - prefix_len;
            let row = row_bytes(tail, entry.value);
            same_rows &= row == stride;
            end += row;
            code = code.filter(|code| *code == code_of(&entry));
            seq_min = seq_min.min(entry.seq);
            seq_max = seq_max.max(entry.seq);
            if let Some(ms) = entry.expires_ms {
                let (min, max) = expiries.unwrap_or((ms, ms));
                expiries = Some((min.min(ms), max.max(ms)));
            }
        }
        let narrow = |fits: bool| if fits { Lengths::Narrow } else { Lengths::Wide };
        let (expiry_min, expiry_max) = expiries.unwrap_or_default();
        Self {
            prefix_len,
            tails: if same_tails { Lengths::Same } else { narrow(tail_max <= 0xff) },
            tail_len: if same_tails { tail_max } else { 0 },
            ends: if same_rows { Lengths::Same } else { narrow(end <= 0xffff) },
            stride: if same_rows { stride } else { 0 },
            code,
            seq_base: seq_min,
            seq_width: width_of(seq_max - seq_min),
            expires: expiries.is_some(),
            expiry_base: expiry_min,
            expiry_width: width_of(expiry_max - expiry_min),
        }
    }

    fn put_head(&self, count: usize, out: &mut Vec<u8>) {
        let modes = match self.code {
            Some(code) => code << 5,
            None => 1 << 4,
        } | (self.ends as u8) << 2
            | self.tails as u8;
        let has_seq_base = self.seq_base != 0;
        let bases = u16::from(has_seq_base) | u16::from(self.expires) << 1;
        out.extend_from_slice(&(count as u16).to_le_bytes());
        out.extend_from_slice(&(self.prefix_len as u16).to_le_bytes());
        out.push(modes);
        out.push(self.seq_width as u8 | (self.expiry_width as u8) << 4);
        out.extend_from_slice(&bases.to_le_bytes());
        out.extend_from_slice(&(self.tail_len as u32).to_le_bytes());
        out.extend_from_slice(&(self.stride as u32).to_le_bytes());
        if has_seq_base {
            out.extend_from_slice(&self.seq_base.to_le_bytes());
        }
        if self.expires {
            out.extend_from_slice(&self.expiry_base.to_le_bytes());
        }
    }
}

/// How many bytes two keys have in common at their starts.
pub(crate) fn shared(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}
