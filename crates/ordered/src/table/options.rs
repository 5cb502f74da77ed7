//! What a caller decides about a table, and about reading it.

use crate::{Compression, Error, Result, filter};

/// How a table is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableOptions {
    /// How large blocks become before compression, in bytes; an entry that is larger has a block of
    /// its own. 256 to 1,048,576; default 4,096.
    pub block_bytes: u32,
    /// How blocks of entries are made smaller. Default: not at all, so that they are read in place.
    pub compression: Compression,
    /// Bits that each key has in the filter; 0: no filter. At most 32; default 10, with which one of
    /// a hundred keys that are not there is looked for in vain.
    pub filter_bits_per_key: u8,
    /// Puts the first bytes of each key into the filter too, so many, for
    /// [`Table::may_have_prefix`](crate::Table::may_have_prefix). Default: none.
    pub filter_prefix_bytes: Option<u16>,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self {
            block_bytes: 4096,
            compression: Compression::None,
            filter_bits_per_key: 10,
            filter_prefix_bytes: None,
        }
    }
}

impl TableOptions {
    /// Checks that each setting is in its range.
    ///
    /// # Errors
    /// `Config`, which names the setting; `Codec`, if the build was made without the compression.
    pub fn validate(&self) -> Result<()> {
        let refuse = |field, value: u64, allowed| Err(Error::Config { field, value, allowed });
        if !(256..=1 << 20).contains(&self.block_bytes) {
            return refuse("block_bytes", self.block_bytes.into(), "256 to 1048576");
        }
        if self.filter_bits_per_key > filter::BITS_PER_KEY_MAX {
            return refuse("filter_bits_per_key", self.filter_bits_per_key.into(), "0 to 32");
        }
        match self.filter_prefix_bytes {
            Some(0) => return refuse("filter_prefix_bytes", 0, "1 to 65535"),
            Some(len) if self.filter_bits_per_key == 0 => {
                return refuse("filter_prefix_bytes", len.into(), "none without a filter");
            }
            _ => {}
        }
        if let Compression::Zstd { level } = self.compression {
            if !(1..=19).contains(&level) {
                return refuse("compression.level", level.into(), "1 to 19");
            }
            if !cfg!(feature = "zstd") {
                return refuse("compression", 2, "none or lz4: this build is without `zstd`");
            }
        }
        Ok(())
    }
}

/// How a cursor reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// What is read is likely to be asked for again: decompressed blocks are put into the cache.
    #[default]
    Usual,
    /// Everything is read once: the cache is asked but not filled.
    Light,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        assert!(TableOptions::default().validate().is_ok());
        let refused = |change: &dyn Fn(&mut TableOptions)| {
            let mut options = TableOptions::default();
            change(&mut options);
            match options.validate() {
                Err(Error::Config { field, .. }) => field,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(refused(&|o| o.block_bytes = 255), "block_bytes");
        assert_eq!(refused(&|o| o.block_bytes = (1 << 20) + 1), "block_bytes");
        assert_eq!(refused(&|o| o.filter_bits_per_key = 33), "filter_bits_per_key");
        assert_eq!(refused(&|o| o.filter_prefix_bytes = Some(0)), "filter_prefix_bytes");
        assert_eq!(
            refused(&|o| {
                o.filter_bits_per_key = 0;
                o.filter_prefix_bytes = Some(4);
            }),
            "filter_prefix_bytes"
        );
        assert_eq!(
            refused(&|o| o.compression = Compression::Zstd { level: 20 }),
            "compression.level"
        );
    }
}
