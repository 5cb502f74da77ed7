//! The hash of a few bytes.

/// Words of XXH3's secret, from byte 8 on.
const SECRET: [u64; 6] = [
    0x1cad_21f7_2c81_017c,
    0xdb97_9083_e96d_d4de,
    0x1f67_b3b7_a4a4_4072,
    0x78e5_c0cc_4ee6_79cb,
    0x2172_ffcc_7dd0_5a82,
    0x8e24_43f7_7446_08b8,
];

/// The hash of bytes: XXH3, 64 bits, with a seed, so that nobody who does not know it can choose bytes that
/// collide. Formats on disk depend on it.
///
/// The lengths that most keys have are done here: as a part of what calls it, instead of by a call that
/// has to tell all lengths apart, it takes a quarter of the instructions.
///
/// ```
/// assert_eq!(annals_disk::hash_bytes(7, b"key"), annals_disk::hash_bytes(7, b"key"));
/// assert_ne!(annals_disk::hash_bytes(7, b"key"), annals_disk::hash_bytes(8, b"key"));
/// ```
#[inline(always)]
#[must_use]
pub fn hash_bytes(seed: u64, bytes: &[u8]) -> u64 {
    match bytes.len() {
        9..=16 => ends(bytes).map_or(0, |ends| hash_ends(seed, ends, bytes.len() as u64)),
        8 => bytes.first_chunk().map_or(0, |word| hash_word(seed, u64::from_le_bytes(*word))),
        _ => hash_any(seed, bytes),
    }
}

/// Bytes of any number. Apart, as it takes all registers.
#[inline(never)]
fn hash_any(seed: u64, bytes: &[u8]) -> u64 {
    twox_hash::XxHash3_64::oneshot_with_seed(seed, bytes)
}

/// The first eight bytes and the last.
#[inline(always)]
fn ends(bytes: &[u8]) -> Option<(u64, u64)> {
    let (first, last) = (bytes.first_chunk()?, bytes.last_chunk()?);
    Some((u64::from_le_bytes(*first), u64::from_le_bytes(*last)))
}

/// XXH3 of 9 to 16 bytes.
#[inline(always)]
fn hash_ends(seed: u64, (first, last): (u64, u64), len: u64) -> u64 {
    let low = first ^ (SECRET[2] ^ SECRET[3]).wrapping_add(seed);
    let high = last ^ (SECRET[4] ^ SECRET[5]).wrapping_sub(seed);
    let product = u128::from(low) * u128::from(high);
    let folded = product as u64 ^ (product >> 64) as u64;
    let sum = len.wrapping_add(low.swap_bytes()).wrapping_add(high).wrapping_add(folded);
    let mixed = (sum ^ (sum >> 37)).wrapping_mul(0x1656_6791_9e37_79f9);
    mixed ^ (mixed >> 32)
}

/// XXH3 of 8 bytes.
#[inline(always)]
fn hash_word(seed: u64, word: u64) -> u64 {
    const FACTOR: u64 = 0x9fb2_1c65_1e98_df25;
    let seed = seed ^ u64::from((seed as u32).swap_bytes()) << 32;
    let keyed = word.rotate_left(32) ^ (SECRET[0] ^ SECRET[1]).wrapping_sub(seed);
    let mixed = (keyed ^ keyed.rotate_left(49) ^ keyed.rotate_left(24)).wrapping_mul(FACTOR);
    let mixed = (mixed ^ (mixed >> 35).wrapping_add(8)).wrapping_mul(FACTOR);
    mixed ^ (mixed >> 28)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_every_length_have_the_hash_of_the_format() {
        let bytes: Vec<u8> = (0..=255u8).map(|byte| byte.wrapping_mul(167) ^ 0x5b).collect();
        for seed in [0, 1, 0x1234_5678_9abc_def0, u64::MAX] {
            for len in 0..40 {
                for key in bytes.windows(len.max(1)).map(|window| &window[..len]) {
                    let expected = twox_hash::XxHash3_64::oneshot_with_seed(seed, key);
                    assert_eq!(hash_bytes(seed, key), expected, "{key:x?} of {len} bytes");
                }
            }
        }
    }
}
