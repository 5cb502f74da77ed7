//! The kernel of a search: which of eight words have the tag that is sought.
//!
//! The tag and its mask are in the upper half of a word, so the upper halves of all eight are gathered into two
//! vectors and compared at once.

use std::sync::atomic::AtomicU64;

use super::bucket::SLOTS;
use super::slot::Sought;

/// The places of the words whose tag agrees, as bits.
#[cfg(all(target_arch = "x86_64", not(any(miri, annals_plain))))]
#[inline(always)]
#[allow(unsafe_code, reason = "a vector kernel; its portable twin is tested equal")]
pub(super) fn agreeing(words: &[AtomicU64; SLOTS], sought: Sought) -> u32 {
    let (bits, mask) = sought.upper();
    let agreeing: u32;
    // SAFETY: reads the 64 bytes of `words`, which is valid for reads; unaligned loads are asked for, so no
    // alignment is assumed. The words may be stored to meanwhile: each is eight bytes at a multiple of eight, which
    // the processor loads in one piece also as a part of a vector, so each is read as by a relaxed load; assembly is
    // outside of what the compiler may assume about data races. SSE2 is part of x86-64. Writes no memory, needs no
    // stack, and leaves the flags alone.
    unsafe {
        std::arch::asm!(
            "movd {mask}, {mask_in:e}",
            "pshufd {mask}, {mask}, 0",
            "movd {bits}, {bits_in:e}",
            "pshufd {bits}, {bits}, 0",
            "movups {low}, [{words}]",
            "movups {next}, [{words} + 16]",
            "shufps {low}, {next}, 0xdd",
            "movups {high}, [{words} + 32]",
            "movups {next}, [{words} + 48]",
            "shufps {high}, {next}, 0xdd",
            "pand {low}, {mask}",
            "pand {high}, {mask}",
            "pcmpeqd {low}, {bits}",
            "pcmpeqd {high}, {bits}",
            "packssdw {low}, {high}",
            "packsswb {low}, {low}",
            "pmovmskb {agreeing:e}, {low}",
            words = in(reg) words.as_ptr(),
            mask_in = in(reg) mask,
            bits_in = in(reg) bits,
            mask = out(xmm_reg) _,
            bits = out(xmm_reg) _,
            low = out(xmm_reg) _,
            high = out(xmm_reg) _,
            next = out(xmm_reg) _,
            agreeing = lateout(reg) agreeing,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    agreeing & 0xff
}

/// The places of the words whose tag agrees, as bits.
#[cfg(not(all(target_arch = "x86_64", not(any(miri, annals_plain)))))]
#[inline(always)]
pub(super) fn agreeing(words: &[AtomicU64; SLOTS], sought: Sought) -> u32 {
    portable(words, sought)
}

#[cfg(any(test, not(all(target_arch = "x86_64", not(any(miri, annals_plain))))))]
fn portable(words: &[AtomicU64; SLOTS], sought: Sought) -> u32 {
    let mut agreeing = 0;
    for (at, word) in words.iter().enumerate() {
        let raw = word.load(std::sync::atomic::Ordering::Relaxed);
        agreeing |= u32::from(sought.agrees(raw)) << at;
    }
    agreeing
}

#[cfg(test)]
mod tests {
    use super::super::shape;
    use super::*;

    #[test]
    fn the_kernel_finds_what_its_portable_twin_finds() {
        let mut state = 7u64;
        let mut roll = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            state ^ (state >> 29)
        };
        let mut found = 0;
        for round in 0..20_000u64 {
            let known = shape::known(15 + (round % 3) as u32);
            let tag = roll() & shape::TAG_MASK;
            let sought = Sought::new(tag, known);
            let words = std::array::from_fn(|_| {
                // Often the tag, or the tag but for a bit; with and without the bit of the dead.
                let near = if roll() % 2 == 0 { tag } else { tag ^ (1 << (roll() % 17)) };
                AtomicU64::new(match roll() % 4 {
                    0 => [0, u64::MAX][(roll() % 2) as usize],
                    _ => (near << 47) | (roll() & 0x7fff_ffff_ffff),
                })
            });
            let agreeing = agreeing(&words, sought);
            assert_eq!(agreeing, portable(&words, sought), "{words:x?} {sought:?}");
            found += agreeing.count_ones();
        }
        assert!(found > 1_000);
    }
}
