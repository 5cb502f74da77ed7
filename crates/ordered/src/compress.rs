//! Making blocks smaller, and getting them back.
//!
//! How large a block was before is kept beside it. A reader believes that only up to 255 times the
//! size it has now, which no block that is written exceeds: LZ4 cannot, and where Zstandard would,
//! LZ4 takes its place. So a few damaged bytes never ask for much memory.

/// How the blocks of a table are made smaller.
///
/// ```
/// # use annals_ordered as annals;
/// use annals::{Compression, TreeOptions};
/// // Most of the data, and the oldest, is in the deepest level: small there, quick elsewhere.
/// let options = TreeOptions {
///     compression: Compression::Lz4,
///     bottom_compression: Compression::Zstd { level: 3 },
///     ..TreeOptions::default()
/// };
/// # #[cfg(feature = "zstd")]
/// assert!(options.validate().is_ok());
/// let wrong = TreeOptions { compression: Compression::Zstd { level: 20 }, ..options };
/// assert!(wrong.validate().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all: values are read in place, where the file is mapped.
    #[default]
    None,
    /// LZ4: quick both ways.
    Lz4,
    /// Zstandard at a level from 1 (quick) to 19 (small): slower to write, smaller. A build without the
    /// feature `zstd` refuses it, and blocks that have it.
    #[cfg_attr(docsrs, doc(cfg(feature = "zstd")))]
    Zstd {
        /// The level.
        level: u8,
    },
}

/// How one block was made smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Codec {
    Plain = 0,
    Lz4 = 1,
    Zstd = 2,
}

impl Codec {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Plain, Self::Lz4, Self::Zstd].into_iter().find(|codec| *codec as u8 == byte)
    }
}

/// Why a block could not be got back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpack {
    /// It is not what a compressor wrote.
    Damaged,
    /// This build does not have what it was compressed with.
    #[cfg(not(feature = "zstd"))]
    Unknown(&'static str),
}

/// Bytes before a compressed block: how large it was.
const RAW_BYTES: usize = 4;
/// No block is said to have been larger than so many times what it is.
const RATIO_MAX: usize = 255;

/// Compresses `raw` behind whatever is in `out`, if that makes it smaller by an eighth at least; else
/// leaves `out` as it was.
pub(crate) fn pack(compression: Compression, raw: &[u8], out: &mut Vec<u8>) -> Codec {
    let start = out.len();
    let limit = raw.len() - raw.len() / 8;
    let codec = match compression {
        Compression::None => return Codec::Plain,
        Compression::Lz4 => lz4(raw, out),
        Compression::Zstd { level } => zstd(level, raw, out),
    };
    if codec.is_some() && raw.len() > RATIO_MAX * (out.len() - start - RAW_BYTES) {
        out.truncate(start);
        if lz4(raw, out).is_some() && out.len() - start < limit {
            return Codec::Lz4;
        }
        out.truncate(start);
        return Codec::Plain;
    }
    match codec {
        Some(codec) if out.len() - start < limit => codec,
        _ => {
            out.truncate(start);
            Codec::Plain
        }
    }
}

fn put_raw_len(raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(&u32::try_from(raw.len()).ok()?.to_le_bytes());
    Some(())
}

fn lz4(raw: &[u8], out: &mut Vec<u8>) -> Option<Codec> {
    put_raw_len(raw, out)?;
    let start = out.len();
    out.resize(start + lz4_flex::block::get_maximum_output_size(raw.len()), 0);
    let len = lz4_flex::block::compress_into(raw, &mut out[start..]).ok()?;
    out.truncate(start + len);
    Some(Codec::Lz4)
}

#[cfg(feature = "zstd")]
fn zstd(level: u8, raw: &[u8], out: &mut Vec<u8>) -> Option<Codec> {
    put_raw_len(raw, out)?;
    let start = out.len();
    out.resize(start + zstd::zstd_safe::compress_bound(raw.len()), 0);
    let len = zstd::bulk::compress_to_buffer(raw, &mut out[start..], i32::from(level)).ok()?;
    out.truncate(start + len);
    Some(Codec::Zstd)
}

#[cfg(not(feature = "zstd"))]
fn zstd(_level: u8, _raw: &[u8], _out: &mut Vec<u8>) -> Option<Codec> {
    None
}

/// Replaces what is in `out` with what was packed.
pub(crate) fn unpack(codec: Codec, packed: &[u8], out: &mut Vec<u8>) -> Result<(), Unpack> {
    let (raw_len, body) = packed.split_first_chunk::<RAW_BYTES>().ok_or(Unpack::Damaged)?;
    let raw_len = u32::from_le_bytes(*raw_len) as usize;
    if raw_len > body.len().saturating_mul(RATIO_MAX) {
        return Err(Unpack::Damaged);
    }
    out.clear();
    out.resize(raw_len, 0);
    let len = match codec {
        Codec::Plain => return Err(Unpack::Damaged),
        Codec::Lz4 => lz4_flex::block::decompress_into(body, out).map_err(|_| Unpack::Damaged)?,
        #[cfg(feature = "zstd")]
        Codec::Zstd => {
            zstd::bulk::decompress_to_buffer(body, &mut out[..]).map_err(|_| Unpack::Damaged)?
        }
        #[cfg(not(feature = "zstd"))]
        Codec::Zstd => return Err(Unpack::Unknown("zstd")),
    };
    if len == raw_len { Ok(()) } else { Err(Unpack::Damaged) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at / 7 % 13) as u8).collect()
    }

    const ALL: [Compression; 2] = [Compression::Lz4, Compression::Zstd { level: 3 }];

    #[test]
    fn what_shrinks_comes_back_and_what_does_not_stays_plain() {
        for compression in ALL {
            let raw = sample(5000);
            let mut out = b"before".to_vec();
            let codec = pack(compression, &raw, &mut out);
            assert_ne!(codec, Codec::Plain);
            assert!(out.len() < 2500 && out.starts_with(b"before"));
            let mut back = Vec::new();
            assert_eq!(unpack(codec, &out[6..], &mut back), Ok(()));
            assert_eq!(back, raw);
            let mut state = 1u64;
            let noise: Vec<u8> = std::iter::repeat_with(|| {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(99);
                (state >> 56) as u8
            })
            .take(3000)
            .collect();
            assert_eq!(pack(compression, &noise, &mut out), Codec::Plain);
            assert_eq!(pack(compression, &[], &mut out), Codec::Plain);
            assert!(out.starts_with(b"before"));
        }
        assert_eq!(pack(Compression::None, &sample(5000), &mut Vec::new()), Codec::Plain);
    }

    #[test]
    fn nothing_is_written_that_a_reader_would_not_believe() {
        for compression in ALL {
            let raw = vec![0; 10 << 20];
            let mut out = Vec::new();
            let codec = pack(compression, &raw, &mut out);
            assert_eq!(codec, Codec::Lz4);
            let mut back = Vec::new();
            assert_eq!(unpack(codec, &out, &mut back), Ok(()));
            assert_eq!(back, raw);
        }
    }

    #[test]
    fn a_wrong_size_and_every_cut_is_damage() {
        for compression in ALL {
            let raw = sample(2000);
            let mut out = Vec::new();
            let codec = pack(compression, &raw, &mut out);
            for len in 0..out.len() {
                assert_eq!(unpack(codec, &out[..len], &mut Vec::new()), Err(Unpack::Damaged));
            }
            for wrong in [0u32, 1, 1999, 2001, u32::MAX] {
                let mut bad = out.clone();
                bad[..4].copy_from_slice(&wrong.to_le_bytes());
                assert_eq!(unpack(codec, &bad, &mut Vec::new()), Err(Unpack::Damaged), "{wrong}");
            }
            assert_eq!(unpack(Codec::Plain, &out, &mut Vec::new()), Err(Unpack::Damaged));
        }
    }
}
