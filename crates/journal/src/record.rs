//! A record: one operation in a frame.
//!
//! The layout is fixed in `docs/formats/journal.md`. The checksum has two steps: the first covers
//! the record's own bytes and is computed while encoding, outside any lock; the second binds the
//! first to the segment and to the record's `Seq`, which are known only when the record gets its
//! place. Bytes of an earlier life of a segment therefore never pass for records.

use crate::{Address, Seq, checksum, format::u64_at, varint};

/// Bytes before the kind: the checksum and the sequence delta.
const PREFIX_BYTES: usize = 8;
/// Records start on multiples of this many bytes.
pub(crate) const RECORD_ALIGN: usize = 8;
/// Values that are read in place start on multiples of this many bytes. Records do so too: how much is
/// filled up does not depend on where a record lies.
const VALUE_ALIGN: usize = 8;
const _: () = assert!(RECORD_ALIGN.is_multiple_of(VALUE_ALIGN));
/// The longest key, in bytes: 64 KiB. A longer one is refused before anything is written.
///
/// ```
/// # use annals_journal as annals;
/// let path = "/a/path/that/may/be/long";
/// // Told apart before a batch is begun.
/// assert!(path.len() <= annals::KEY_BYTES_MAX);
/// ```
pub const KEY_BYTES_MAX: usize = 64 * 1024;
/// The longest value, in bytes: 1 GiB. A longer one is refused before anything is written.
///
/// ```
/// # use annals_journal as annals;
/// let upload_bytes: usize = 3 << 30;
/// // What is larger is written in pieces.
/// assert_eq!(upload_bytes.div_ceil(annals::VALUE_BYTES_MAX), 3);
/// ```
pub const VALUE_BYTES_MAX: usize = 1 << 30;

const FLAG_EXPIRY: u8 = 0x10;
const FLAG_PREVIOUS: u8 = 0x20;
const FLAG_ALIGNED: u8 = 0x40;
/// The kind, and the bit that has no meaning yet: a record that has it is of no known kind.
const KIND_MASK: u8 = 0x8f;

/// What a record does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    /// Gives a key a value.
    Put = 1,
    /// Removes a key.
    Remove = 2,
    /// Removes all keys from the record's key up to, and without, its value.
    RemoveRange = 3,
    /// Changes the catalog; the key is the catalog's own.
    Catalog = 4,
    /// Appends an event to a stream; the key is the stream's.
    Event = 5,
    /// A batch of rows of an event table.
    Rows = 6,
    /// Says what holds for a stream as a whole; the key is the stream's.
    Mark = 7,
}

impl Kind {
    #[inline]
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte & KIND_MASK {
            1 => Self::Put,
            2 => Self::Remove,
            3 => Self::RemoveRange,
            4 => Self::Catalog,
            5 => Self::Event,
            6 => Self::Rows,
            7 => Self::Mark,
            _ => return None,
        })
    }
}

/// A record to be written.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// What it does.
    pub kind: Kind,
    /// The keyspace, stream or table it belongs to.
    pub space: u32,
    /// The key; at most [`KEY_BYTES_MAX`].
    pub key: &'a [u8],
    /// The value; at most [`VALUE_BYTES_MAX`].
    pub value: &'a [u8],
    /// When it expires, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
    /// Whether the value must start on an 8-byte boundary.
    pub aligned: bool,
}

/// A record as it stands in a segment, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it does.
    pub kind: Kind,
    /// The keyspace, stream or table it belongs to.
    pub space: u32,
    /// Its sequence number.
    pub seq: Seq,
    /// The key.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// When it expires, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
    /// The version it replaced, if a snapshot could need that one when this was written.
    pub previous: Option<Address>,
    /// Whether the value starts on an 8-byte boundary.
    pub aligned: bool,
}

/// Where the parts of an encoded record lie, relative to the record's start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) key_at: usize,
    /// Where the previous address is, if there is room for one.
    pub(crate) previous_at: Option<usize>,
}

/// Bytes that a record may take before its key, made up to whole words.
pub(crate) const HEAD_BYTES: usize = 48;
/// Bytes that a record may take beyond its key and value.
const OVERHEAD_BYTES: usize = 64;
/// Where a part of a record is filled up to the next boundary.
pub(crate) const PADDING: [u8; 16] = [0; 16];

/// What comes before the key of `draft`. Checksum and sequence delta stay zero.
#[inline]
pub(crate) fn head(draft: &Draft<'_>, with_previous: bool) -> ([u8; HEAD_BYTES], Head) {
    head_of(draft, draft.value.len(), with_previous)
}

/// The same of a record whose value has this length, whatever that of `draft` is.
#[inline]
pub(crate) fn head_of(
    draft: &Draft<'_>,
    value_len: usize,
    with_previous: bool,
) -> ([u8; HEAD_BYTES], Head) {
    debug_assert!(draft.key.len() <= KEY_BYTES_MAX && value_len <= VALUE_BYTES_MAX);
    let mut head = [0u8; HEAD_BYTES];
    let mut at = PREFIX_BYTES;
    head[at] = draft.kind as u8
        | if draft.expires_ms.is_some() { FLAG_EXPIRY } else { 0 }
        | if with_previous { FLAG_PREVIOUS } else { 0 }
        | if draft.aligned { FLAG_ALIGNED } else { 0 };
    at += 1;
    let (space, key_len, value_len) =
        (u64::from(draft.space), draft.key.len() as u64, value_len as u64);
    if (space | key_len) < 0x80 && value_len < 1 << 14 {
        // The lengths of nearly all records, in one word.
        let long = u64::from(value_len >= 0x80);
        let value_word = value_len & 0x7f | long << 7 | (value_len >> 7) << 8;
        let word = space | key_len << 8 | value_word << 16;
        head[at..at + 8].copy_from_slice(&word.to_le_bytes());
        at += 3 + long as usize;
    } else {
        for number in [space, key_len, value_len] {
            at += varint::write(number, &mut head[at..]);
        }
    }
    if let Some(expires_ms) = draft.expires_ms {
        head[at..at + 8].copy_from_slice(&expires_ms.to_le_bytes());
        at += 8;
    }
    let previous_at = with_previous.then_some(at);
    if with_previous {
        head[at..at + 8].fill(0xff);
        at += 8;
    }
    (head, Head { key_at: at, previous_at })
}

/// Where the value of a record begins whose key ends at `key_end`, both from the record's start.
#[inline(always)]
pub(crate) fn value_at(key_end: usize, aligned: bool) -> usize {
    if aligned { key_end.next_multiple_of(VALUE_ALIGN) } else { key_end }
}

/// Appends what comes before the value of `draft` to `out`, whose current length is a multiple of
/// [`RECORD_ALIGN`]. Makes room for `room` more bytes.
#[inline]
pub(crate) fn encode_head(
    draft: &Draft<'_>,
    with_previous: bool,
    out: &mut Vec<u8>,
    room: usize,
) -> Head {
    encode_head_of(draft, draft.value.len(), with_previous, out, room)
}

/// The same of a record whose value has this length, whatever that of `draft` is.
#[inline]
pub(crate) fn encode_head_of(
    draft: &Draft<'_>,
    value_len: usize,
    with_previous: bool,
    out: &mut Vec<u8>,
    room: usize,
) -> Head {
    debug_assert!(out.len().is_multiple_of(RECORD_ALIGN));
    out.reserve(OVERHEAD_BYTES + 2 * PADDING.len() + draft.key.len() + room);
    let (head, parts) = head_of(draft, value_len, with_previous);
    // More than there is, in one piece of a length that is known here, and what is too much taken back: copies of
    // a few bytes each cost more by their calls than by what they copy.
    let at = out.len();
    out.extend_from_slice(&head);
    out.truncate(at + parts.key_at);
    out.extend_from_slice(draft.key);
    if draft.aligned {
        fill_up(out, VALUE_ALIGN);
    }
    parts
}

/// Fills `out` up to a multiple of `align`, at most [`PADDING`].
#[inline]
fn fill_up(out: &mut Vec<u8>, align: usize) {
    let end = out.len().next_multiple_of(align);
    out.extend_from_slice(&PADDING);
    out.truncate(end);
}

/// Appends `draft` to `out`, as [`encode_head`] and [`encode_value`] do.
#[inline]
pub(crate) fn encode(draft: &Draft<'_>, with_previous: bool, out: &mut Vec<u8>) -> Head {
    let head = encode_head(draft, with_previous, out, draft.value.len());
    encode_value(draft.value, out);
    head
}

/// Appends the value and the padding behind it.
#[inline]
pub(crate) fn encode_value(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(value);
    end(out);
}

/// Appends the padding behind a value, for which there is room.
#[inline]
pub(crate) fn end(out: &mut Vec<u8>) {
    fill_up(out, RECORD_ALIGN);
}

/// What fills `len` bytes up to a multiple of `align`, at most [`PADDING`].
#[inline]
pub(crate) fn padding(len: usize, align: usize) -> &'static [u8] {
    &PADDING[..len.next_multiple_of(align) - len]
}

/// The first step of the checksum: over all bytes behind the prefix, padding included.
#[inline]
pub(crate) fn body_checksum(record: &[u8]) -> u32 {
    checksum::of(&record[PREFIX_BYTES..])
}

/// The same of a record whose value and padding lie elsewhere than what comes before them.
pub(crate) fn body_checksum_of(head: &[u8], value: &[u8], padding: &[u8]) -> u32 {
    let checksum = checksum::append(body_checksum(head), value);
    checksum::append(checksum, padding)
}

/// The second step: binds the body to its segment and sequence number.
#[inline]
pub(crate) fn bind_checksum(seed: u32, body: u32, delta: u32) -> u32 {
    let both = u64::from(delta) << 32 | u64::from(body);
    checksum::append(seed, &both.to_le_bytes())
}

/// Fills in what is known only when a record gets its place.
#[inline]
pub(crate) fn finish(record: &mut [u8], body: u32, seed: u32, delta: u32) -> u32 {
    let checksum = bind_checksum(seed, body, delta);
    record[0..4].copy_from_slice(&checksum.to_le_bytes());
    record[4..8].copy_from_slice(&delta.to_le_bytes());
    checksum
}

/// What a look-up wants to know of a record that has its key. Offsets count from the start of the
/// segment, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Match {
    /// What it does.
    pub kind: Kind,
    /// Its sequence number.
    pub seq: Seq,
    /// Its encoded length, padding included.
    pub len: u32,
    /// Where the key lies: offset and length.
    pub key: (u32, u32),
    /// Where the value lies: offset and length.
    pub value: (u32, u32),
    /// Whether it expires at some time.
    pub expires: bool,
}

/// What a look-up found at an address.
#[derive(Clone, Copy, Debug)]
pub enum Look {
    /// A record of another key, or of another keyspace.
    Other,
    /// A record of this key.
    This(Match),
    /// Bytes that are no record.
    Damaged,
}

/// Space, length of the key, length of the value, and where they end, of the record that `bytes`
/// begin with; the general shape.
#[cold]
fn lengths(bytes: &[u8]) -> Option<(u32, usize, usize, usize)> {
    let mut at = PREFIX_BYTES + 1;
    let space = varint::read(bytes, &mut at)?;
    let key_len = varint::read(bytes, &mut at)?;
    let value_len = varint::read(bytes, &mut at)?;
    if key_len > KEY_BYTES_MAX as u64 || value_len > VALUE_BYTES_MAX as u64 {
        return None;
    }
    Some((u32::try_from(space).ok()?, key_len as usize, value_len as usize, at))
}

/// The same, for the shapes that are by far the most frequent: a space and a key below 128, and a
/// value below 16 Ki.
#[inline(always)]
fn short_lengths(head: u64) -> Option<(u32, usize, usize, usize)> {
    let byte = |at: u32| (head >> (8 * at)) & 0xff;
    let short = (u32::try_from(byte(1)).ok()?, byte(2) as usize);
    if head & 0x8080_8000 == 0 {
        return Some((short.0, short.1, byte(3) as usize, PREFIX_BYTES + 4));
    }
    if head & 0x80_8080_8000 == 0x8000_0000 {
        let value_len = (byte(3) & 0x7f) | byte(4) << 7;
        return Some((short.0, short.1, value_len as usize, PREFIX_BYTES + 5));
    }
    None
}

/// Whether the record at the start of `bytes`, which lie at `offset` of a segment whose sequence
/// numbers count from `base_seq`, is of this key. Checks its shape as [`parse`] does, not its
/// checksum; `Damaged` says that it is no record.
#[inline(always)]
pub(crate) fn look(bytes: &[u8], offset: usize, base_seq: Seq, space: u32, key: &[u8]) -> Look {
    let Some((its_space, found)) = shape(bytes, offset, base_seq) else { return Look::Damaged };
    let key_at = found.key.0 as usize - offset;
    if its_space != space || !is_same(&bytes[key_at..key_at + found.key.1 as usize], key) {
        return Look::Other;
    }
    Look::This(found)
}

/// The keyspace of the record at the start of `bytes`, and where its parts lie, for [`look`], whatever its key.
#[inline(always)]
pub(crate) fn shape(bytes: &[u8], offset: usize, base_seq: Seq) -> Option<(u32, Match)> {
    let (prefix, head) = first_words(bytes)?;
    let tag = head as u8;
    let kind = Kind::from_byte(tag)?;
    let (space, key_len, value_len, mut at) = short_lengths(head).or_else(|| lengths(bytes))?;
    at += 8 * (tag & (FLAG_EXPIRY | FLAG_PREVIOUS)).count_ones() as usize;
    let key_at = at;
    let value_at = value_at(key_at + key_len, tag & FLAG_ALIGNED != 0);
    let len = (value_at + value_len).next_multiple_of(RECORD_ALIGN);
    if len > bytes.len() {
        return None;
    }
    let seq = Seq(base_seq.0.checked_add(prefix >> 32)?);
    let found = Match {
        kind,
        seq,
        len: len as u32,
        key: ((offset + key_at) as u32, key_len as u32),
        value: ((offset + value_at) as u32, value_len as u32),
        expires: tag & FLAG_EXPIRY != 0,
    };
    Some((space, found))
}

/// The first two words of a record, which has at least sixteen bytes: checksum and sequence delta, and
/// what follows them.
#[inline(always)]
fn first_words(bytes: &[u8]) -> Option<(u64, u64)> {
    let (words, _) = bytes.first_chunk::<16>()?.as_chunks();
    Some((u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1])))
}

/// Whether `bytes` begin with a record that gives `key` a value, in the shape of nearly all records:
/// nothing optional in it, space and key below 128, the value below 16 Ki. Then the difference of its
/// number from the segment's, and the value; the inner `None` if it gives another key of
/// the same length one. The outer `None` if it has another shape: [`look`] tells.
#[inline(always)]
pub(crate) fn plain<'a>(
    bytes: &'a [u8],
    space: u32,
    key: &[u8],
) -> Option<Option<(u32, &'a [u8])>> {
    let (prefix, head) = first_words(bytes)?;
    // Space and length of the key take a byte each, or the bytes are none of a plain head.
    if (space as usize | key.len()) >= 0x80 {
        return None;
    }
    let plain = u64::from(Kind::Put as u8) | u64::from(space) << 8 | (key.len() as u64) << 16;
    if head & 0xff_ffff != plain {
        return None;
    }
    // The processor guesses which of the two shapes it is, and so asks for the value before the head is there, and
    // goes on to the next look-up; if where the value is were computed from the head, all that looks at the value
    // would stand in its way.
    if head & 0x8000_0000 == 0 {
        let value_len = (head >> 24) as usize & 0x7f;
        plain_parts(bytes, PREFIX_BYTES + 4, value_len, prefix, key)
    } else {
        plain_long(bytes, prefix, head, key)
    }
}

/// [`plain`] of a value that takes two bytes to tell its length. Not a part of it: the compiler would make one of
/// the two again.
#[inline(never)]
fn plain_long<'a>(
    bytes: &'a [u8],
    prefix: u64,
    head: u64,
    key: &[u8],
) -> Option<Option<(u32, &'a [u8])>> {
    let value_len = (head >> 24) & 0x7f | ((head >> 32) & 0xff) << 7;
    if value_len >= 1 << 14 {
        return None;
    }
    plain_parts(bytes, PREFIX_BYTES + 5, value_len as usize, prefix, key)
}

/// Number and value of a plain record, if its key is this one.
#[inline(always)]
fn plain_parts<'a>(
    bytes: &'a [u8],
    key_at: usize,
    value_len: usize,
    prefix: u64,
    key: &[u8],
) -> Option<Option<(u32, &'a [u8])>> {
    // What is published ends where a record may: the padding is there if the value is.
    debug_assert!(bytes.len().is_multiple_of(RECORD_ALIGN));
    let (its_key, rest) = bytes.get(key_at..)?.split_at_checked(key.len())?;
    let value = rest.get(..value_len)?;
    Some(is_same(its_key, key).then_some(((prefix >> 32) as u32, value)))
}

/// Whether two keys are the same; without a call for those of up to 4, and of 8 to 16 bytes.
#[inline(always)]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let ends = |key: &[u8]| {
        let (first, last) = (key.first_chunk::<8>()?, key.last_chunk::<8>()?);
        Some((u64::from_le_bytes(*first), u64::from_le_bytes(*last)))
    };
    if a.len() <= 16
        && let Some((a, b)) = ends(a).zip(ends(b))
    {
        return (a.0 ^ b.0) | (a.1 ^ b.1) == 0;
    }
    if a.len() <= 4 {
        return a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0;
    }
    a == b
}

/// A parsed record with its length on disk.
pub(crate) struct Parsed<'a> {
    pub(crate) record: Record<'a>,
    /// The length with padding.
    pub(crate) len: usize,
}

/// Why bytes are not a record.
pub(crate) const WHAT_SHAPE: &str = "these bytes are no record (kind or lengths out of range)";
/// Why a record is not the one that was written.
pub(crate) const WHAT_CHECKSUM: &str = "the record does not match its checksum";

/// Reads the record at the start of `bytes`, which lie in a segment whose sequence numbers count from
/// `base_seq`. Checks its shape, not its checksum. Never allocates.
#[inline]
pub(crate) fn parse(bytes: &[u8], base_seq: Seq) -> Option<Parsed<'_>> {
    let head = bytes.get(..PREFIX_BYTES + 4)?;
    let delta = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    let tag = head[8];
    let kind = Kind::from_byte(tag)?;
    // Three one-byte lengths are by far the most frequent shape.
    let (space, key_len, value_len, mut at) = if (head[9] | head[10] | head[11]) < 0x80 {
        let (key_len, value_len) = (usize::from(head[10]), usize::from(head[11]));
        (u32::from(head[9]), key_len, value_len, PREFIX_BYTES + 4)
    } else {
        lengths(bytes)?
    };
    let take_u64 = |at: &mut usize| -> Option<u64> {
        let raw = bytes.get(*at..*at + 8)?;
        *at += 8;
        Some(u64::from_le_bytes(raw.try_into().ok()?))
    };
    let expires_ms = if tag & FLAG_EXPIRY != 0 { Some(take_u64(&mut at)?) } else { None };
    let previous = if tag & FLAG_PREVIOUS != 0 {
        let raw = take_u64(&mut at)?;
        (raw != u64::MAX).then(|| Address::from_u64(raw))
    } else {
        None
    };
    let key = bytes.get(at..at + key_len)?;
    at += key_len;
    let aligned = tag & FLAG_ALIGNED != 0;
    at = value_at(at, aligned);
    let value = bytes.get(at..at + value_len)?;
    at += value_len;
    let len = at.next_multiple_of(RECORD_ALIGN);
    if len > bytes.len() {
        return None;
    }
    let seq = base_seq.0.checked_add(u64::from(delta)).map(Seq)?;
    let record = Record { kind, space, seq, key, value, expires_ms, previous, aligned };
    Some(Parsed { record, len })
}

/// What a record that was just encoded does, and when it expires. `key_at` is where its key starts.
#[inline]
pub(crate) fn deed(record: &[u8], key_at: usize) -> (Kind, Option<u64>) {
    let tag = record[PREFIX_BYTES];
    let kind = Kind::from_byte(tag).expect("the kind of a record that was just encoded");
    let words = (tag & (FLAG_EXPIRY | FLAG_PREVIOUS)).count_ones() as usize;
    let expires_ms = (tag & FLAG_EXPIRY != 0).then(|| u64_at(record, key_at - 8 * words));
    (kind, expires_ms)
}

/// The stored checksum of an encoded record.
#[inline]
pub(crate) fn stored_checksum(record: &[u8]) -> u32 {
    u32::from_le_bytes([record[0], record[1], record[2], record[3]])
}

/// The stored sequence delta of an encoded record.
#[inline]
pub(crate) fn stored_delta(record: &[u8]) -> u32 {
    u32::from_le_bytes([record[4], record[5], record[6], record[7]])
}

/// Whether `record` (exactly its bytes) is what was written in the segment of this seed.
#[inline]
pub(crate) fn is_intact(record: &[u8], seed: u32) -> bool {
    checksum::bound(seed, &record[PREFIX_BYTES..], stored_delta(record)) == stored_checksum(record)
}
