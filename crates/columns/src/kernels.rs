//! Loops over the 256 numbers of a chunk.
//!
//! Each is written once, in plain Rust that a compiler turns into vector instructions, and compiled several
//! times: for what every machine of its kind has (SSE2, NEON), for AVX2 and for AVX-512. Which one runs is asked
//! of the processor. Masks, which compilers do not make well, have instructions by name besides, and a twin
//! without them. Tests hold all of them against each other.

mod ahead;
mod bucket;
mod mask;
mod sum;
mod unpack;

pub(crate) use ahead::ask_for;
pub(crate) use bucket::{Buckets, buckets_32};
pub(crate) use mask::{in_range_32, in_range_64};
pub(crate) use sum::{add_32, add_64};
pub(crate) use unpack::{Packed, pack, unpack_32, unpack_64};

/// Numbers of a chunk.
pub(crate) const CHUNK: usize = 256;

/// A bit for each row of a chunk, the first row in the lowest bit of the first word.
pub type Mask = [u64; 4];

/// What the processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// What every machine of its kind has.
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The best there is here.
    #[inline]
    pub(crate) fn best() -> Self {
        #[cfg(all(target_arch = "x86_64", not(any(miri, annals_plain))))]
        {
            if std::arch::is_x86_feature_detected!("avx512f")
                && std::arch::is_x86_feature_detected!("avx512bw")
                && std::arch::is_x86_feature_detected!("avx512dq")
                && std::arch::is_x86_feature_detected!("avx512vl")
            {
                return Self::Avx512;
            }
            if std::arch::is_x86_feature_detected!("avx2") {
                return Self::Avx2;
            }
        }
        Self::Plain
    }

    /// All that can run here.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::Plain];
        #[cfg(target_arch = "x86_64")]
        match Self::best() {
            Self::Avx512 => all.extend([Self::Avx2, Self::Avx512]),
            Self::Avx2 => all.push(Self::Avx2),
            Self::Plain => {}
        }
        all
    }
}

/// Defines a kernel: a body in plain Rust, and one function that runs it as compiled for a level.
macro_rules! kernel {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) $(-> $out:ty)? = $body:path) => {
        $(#[$doc])*
        #[inline]
        #[allow(unsafe_code, reason = "the instructions were asked for before they are used")]
        pub(crate) fn $name(level: $crate::kernels::Level, $($arg: $type),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $type),*) $(-> $out)? {
                    $body($($arg),*)
                }
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2")]
                fn avx512($($arg: $type),*) $(-> $out)? {
                    $body($($arg),*)
                }
                match level {
                    // SAFETY: the function is safe Rust throughout; what makes the call unsafe is that it was
                    // compiled for AVX2, and `Level::Avx2` is made only where the processor was asked for it
                    // (`Level::best`, `Level::all`).
                    $crate::kernels::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    // SAFETY: as above; `Level::Avx512` is made only where the processor has each of the sets
                    // named, of which AVX-512F includes AVX2.
                    $crate::kernels::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    $crate::kernels::Level::Plain => {}
                }
            }
            let _ = level;
            $body($($arg),*)
        }
    };
}
pub(crate) use kernel;
