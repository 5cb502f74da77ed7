//! Records that have all but their values in common.

use crate::record::{self, Draft, Head, Kind, RECORD_ALIGN};

/// Records of one key, one behind the other in a frame. What stands before a value is made once for all values of one
/// length: for small events, which mostly are of one, it would take longer than to copy them.
///
/// ```
/// use annals_journal::{FrameBuilder, Kind, Run};
/// let (mut frame, mut run) = (FrameBuilder::new(), Run::aligned(Kind::Event, 1, b"orders"));
/// frame.push_in(&mut run, b"placed", b"1")?;
/// frame.push_in(&mut run, b"paid", b"2")?;
/// assert_eq!(frame.record(1).value, b"paid2");
/// # Ok::<(), annals_journal::Error>(())
/// ```
#[derive(Debug)]
pub struct Run<'k> {
    /// Without a value.
    draft: Draft<'k>,
    /// Of the last record that was short.
    last: Option<ShortHead>,
}

/// A record that is not longer is put together in a place of this length, of which what is too much is taken back:
/// to append its pieces one by one takes longer.
const SHORT_BYTES: usize = 128;
/// Of such a record what stands before its value takes no more than this.
const SHORT_HEAD_BYTES: usize = 32;
const _: () = assert!(SHORT_BYTES.is_multiple_of(RECORD_ALIGN) && SHORT_HEAD_BYTES <= SHORT_BYTES);
const PLACE: [u8; SHORT_BYTES] = [0; SHORT_BYTES];

/// What stands before the value of a short record, of whatever number.
#[derive(Debug)]
struct ShortHead {
    /// The length of the value, and whether there is room for the previous address.
    of: (usize, bool),
    /// Filled up with zeroes.
    bytes: [u8; SHORT_HEAD_BYTES],
    parts: Head,
    value_at: usize,
}

impl ShortHead {
    /// `None` if a record with a value of this length is not short.
    fn new(draft: &Draft<'_>, (value_len, with_previous): (usize, bool)) -> Option<Self> {
        if value_len > SHORT_BYTES {
            return None;
        }
        let (head, parts) = record::head_of(draft, value_len, with_previous);
        let key_end = parts.key_at + draft.key.len();
        let value_at = record::value_at(key_end, draft.aligned);
        if value_at > SHORT_HEAD_BYTES || value_at + value_len > SHORT_BYTES {
            return None;
        }
        let mut bytes = [0; SHORT_HEAD_BYTES];
        bytes[..parts.key_at].copy_from_slice(&head[..parts.key_at]);
        bytes[parts.key_at..key_end].copy_from_slice(draft.key);
        Some(Self { of: (value_len, with_previous), bytes, parts, value_at })
    }
}

impl<'k> Run<'k> {
    /// Records that begin their values on boundaries of eight bytes and never expire.
    #[must_use]
    pub fn aligned(kind: Kind, space: u32, key: &'k [u8]) -> Self {
        let draft = Draft { kind, space, key, value: &[], expires_ms: None, aligned: true };
        Self { draft, last: None }
    }

    pub(super) fn key_len(&self) -> usize {
        self.draft.key.len()
    }

    /// Appends a record whose value is `data` and, behind them, `rest`.
    #[inline]
    pub(super) fn encode(
        &mut self,
        data: &[u8],
        rest: &[u8],
        with_previous: bool,
        out: &mut Vec<u8>,
    ) -> Head {
        let value_len = data.len() + rest.len();
        let of = (value_len, with_previous);
        if self.last.as_ref().is_none_or(|last| last.of != of) {
            self.last = ShortHead::new(&self.draft, of);
        }
        let Some(ShortHead { bytes, parts, value_at, .. }) = &self.last else {
            let parts =
                record::encode_head_of(&self.draft, value_len, with_previous, out, value_len);
            out.extend_from_slice(data);
            out.extend_from_slice(rest);
            record::end(out);
            return parts;
        };
        let at = out.len();
        out.extend_from_slice(&PLACE);
        let record = &mut out[at..];
        record[..SHORT_HEAD_BYTES].copy_from_slice(bytes);
        let (to_data, behind) = record[*value_at..].split_at_mut(data.len());
        to_data.copy_from_slice(data);
        copy_short(&mut behind[..rest.len()], rest);
        out.truncate(at + (value_at + value_len).next_multiple_of(RECORD_ALIGN));
        *parts
    }
}

/// Copies `from` over `to`, which are of one length: without a call if that is between one word and two.
#[inline(always)]
fn copy_short(to: &mut [u8], from: &[u8]) {
    if let (Some(first), Some(last)) = (from.first_chunk::<8>(), from.last_chunk::<8>())
        && from.len() <= 16
    {
        let last_at = from.len() - 8;
        to[..8].copy_from_slice(first);
        to[last_at..].copy_from_slice(last);
    } else {
        to.copy_from_slice(from);
    }
}
