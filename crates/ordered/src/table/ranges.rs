//! The range removals of a table.

use crate::{
    RangeRemoval,
    number::{put_bytes, put_varint, take_bytes, take_varint},
};

/// Appends the removals, sorted, to `out`.
pub(super) fn encode(ranges: &[RangeRemoval], out: &mut Vec<u8>) {
    put_varint(ranges.len() as u64, out);
    for range in ranges {
        put_bytes(&range.from, out);
        put_bytes(&range.to, out);
        put_varint(range.seq, out);
    }
}

/// Reads removals; `None` if these bytes are none, or not in order.
pub(super) fn decode(mut bytes: &[u8]) -> Option<Vec<RangeRemoval>> {
    let count = take_varint(&mut bytes)?;
    let mut ranges: Vec<RangeRemoval> = Vec::new();
    for _ in 0..count {
        let from = take_bytes(&mut bytes)?;
        let to = take_bytes(&mut bytes)?;
        let range = RangeRemoval::new(from, to, take_varint(&mut bytes)?);
        if range.from >= range.to || ranges.last().is_some_and(|last| *last >= range) {
            return None;
        }
        ranges.push(range);
    }
    bytes.is_empty().then_some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removals_come_back_in_order_only() {
        let range =
            |from: &str, to: &str, seq| RangeRemoval::new(from.as_bytes(), to.as_bytes(), seq);
        let ranges =
            [range("", "a", 7), range("a", "b", 1), range("a", "c", 1), range("a", "c", 300)];
        let mut out = Vec::new();
        encode(&ranges, &mut out);
        assert_eq!(decode(&out).as_deref(), Some(&ranges[..]));
        for len in 0..out.len() {
            assert_eq!(decode(&out[..len]), None);
        }
        out.push(0);
        assert_eq!(decode(&out), None, "bytes behind the end");
        for wrong in [vec![range("b", "a", 1)], vec![range("a", "b", 2), range("a", "b", 1)]] {
            let mut out = Vec::new();
            encode(&wrong, &mut out);
            assert_eq!(decode(&out), None);
        }
    }
}
