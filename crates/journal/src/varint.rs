//! Unsigned LEB128: seven bits a byte, the lowest first.

/// Writes `value` at the start of `out` and returns how many bytes it took (at most ten).
pub(crate) fn write(mut value: u64, out: &mut [u8]) -> usize {
    let mut at = 0;
    while value >= 0x80 {
        out[at] = value as u8 | 0x80;
        value >>= 7;
        at += 1;
    }
    out[at] = value as u8;
    at + 1
}

/// Reads a number at `at` and moves `at` behind it; `None` if it is cut off or longer than a `u64`.
pub(crate) fn read(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if shift == 63 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        for value in [0, 1, 127, 128, 300, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut buffer = [0; 10];
            let len = write(value, &mut buffer);
            let mut at = 0;
            assert_eq!(read(&buffer[..len], &mut at), Some(value));
            assert_eq!(at, len);
            assert_eq!(read(&buffer[..len - 1], &mut 0), None, "cut off");
        }
        assert_eq!(read(&[0xff; 11], &mut 0), None, "too long");
    }
}
