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
    /// What stood before the value of the last one, and where its parts are.
    head: Vec<u8>,
    parts: Head,
    /// The length of its value, and whether it had room for the previous address; `None` if there was none.
    of: Option<(usize, bool)>,
    /// The same head with what may follow it, if that record was short.
    short: Option<[u8; SHORT_HEAD_BYTES]>,
}

/// A record that is not longer is put together in a place of this length, of which what is too much is taken back:
/// to append its pieces one by one takes longer.
const SHORT_BYTES: usize = 128;
/// Of such a record what stands before its value takes no more than this.
const SHORT_HEAD_BYTES: usize = 32;
const _: () = assert!(SHORT_BYTES.is_multiple_of(RECORD_ALIGN) && SHORT_HEAD_BYTES <= SHORT_BYTES);
const PLACE: [u8; SHORT_BYTES] = [0; SHORT_BYTES];

impl<'k> Run<'k> {
    /// Records that begin their values on boundaries of eight bytes and never expire.
    #[must_use]
    pub fn aligned(kind: Kind, space: u32, key: &'k [u8]) -> Self {
        let draft = Draft { kind, space, key, value: &[], expires_ms: None, aligned: true };
        let parts = Head { key_at: 0, previous_at: None };
        Self { draft, head: Vec::new(), parts, of: None, short: None }
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
        if self.of != Some((value_len, with_previous)) {
            self.make_head(value_len, with_previous);
        }
        let (at, value_at) = (out.len(), self.head.len());
        let Some(head) = &self.short else {
            out.reserve(value_at + value_len + record::PADDING.len());
            out.extend_from_slice(&self.head);
            out.extend_from_slice(data);
            out.extend_from_slice(rest);
            record::end(out);
            return self.parts;
        };
        out.extend_from_slice(&PLACE);
        let record = &mut out[at..];
        record[..SHORT_HEAD_BYTES].copy_from_slice(head);
        let (to_data, behind) = record[value_at..].split_at_mut(data.len());
        to_data.copy_from_slice(data);
        copy_short(&mut behind[..rest.len()], rest);
        out.truncate(at + (value_at + value_len).next_multiple_of(RECORD_ALIGN));
        self.parts
    }

    fn make_head(&mut self, value_len: usize, with_previous: bool) {
        let Self { draft, head, short, .. } = self;
        head.clear();
        self.parts = record::encode_head_of(draft, value_len, with_previous, head, 0);
        self.of = Some((value_len, with_previous));
        let is_short = head.len() + value_len <= SHORT_BYTES;
        *short = (is_short && head.len() <= SHORT_HEAD_BYTES).then(|| {
            let mut bytes = [0; SHORT_HEAD_BYTES];
            bytes[..head.len()].copy_from_slice(head);
            bytes
        });
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
