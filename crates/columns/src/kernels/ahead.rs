//! Asking for memory ahead of reading it.

/// Asks for what is at a place of some bytes, which will be read soon: several such questions are on their way at once,
/// where reads that depend on what was read before come one after the other. Nothing happens if there is no such place.
#[inline(always)]
#[allow(unsafe_code, reason = "the instruction takes a pointer")]
pub(crate) fn ask_for(bytes: &[u8], at: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if let Some(byte) = bytes.get(at) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every processor of this kind has the instruction (SSE). It reads nothing that a program could see, and may be
        // given any address; this one is that of a byte that is borrowed.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(byte).cast()) }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = (bytes, at);
}
