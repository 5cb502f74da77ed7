//! How a tree keeps its tables. Written to the manifest, so that a tree can be worked on by who
//! knows nothing but the directory.

use crate::{Compression, Error, LEVELS, Result, TableOptions};

/// How compaction arranges a tree's tables.
///
/// ```
/// # use annals_ordered as annals;
/// use annals::{Style, TreeOptions};
/// // Samples of the last week, of which no more than 10 GiB are kept.
/// let week = Style::Fifo { keep_ms: 7 * 86_400_000, bytes_max: 10 << 30 };
/// let samples = TreeOptions { style: week, ..TreeOptions::default() };
/// assert!(samples.validate().is_ok());
/// assert_eq!(TreeOptions::default().style, Style::Leveled);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Style {
    /// Levels, each several times as large as the one above. Little space is lost to versions that
    /// are superseded, and a read has few places to look.
    #[default]
    Leveled,
    /// Runs of like size are merged once there are several of them. Each record is written less
    /// often; reads look at more places, and up to half of the space may be superseded.
    Tiered,
    /// Tables are never merged, but for small ones that lie side by side, and the oldest go first:
    /// for records that are written once and expire.
    Fifo {
        /// How long after it came a record may be dropped, in milliseconds; 0: never.
        keep_ms: u64,
        /// How many bytes are kept at most, of tables and of what they refer to; 0: no limit. What is
        /// beyond is dropped, oldest first.
        bytes_max: u64,
    },
}

/// How a tree keeps its tables.
///
/// ```
/// # use annals_ordered as annals;
/// use annals::{Style, TreeOptions};
/// // For records that are written often and read seldom, with values that stay in the log from 1 KiB on.
/// let options = TreeOptions {
///     style: Style::Tiered,
///     separate_over_bytes: Some(1 << 10),
///     ..TreeOptions::default()
/// };
/// assert!(options.validate().is_ok());
/// // Settings are checked, and an error names the one that is out of range.
/// let wrong = TreeOptions { ratio: 1, ..options }.validate().expect_err("2 to 100");
/// assert!(wrong.to_string().contains("ratio"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeOptions {
    /// How compaction arranges them.
    pub style: Style,
    /// Where an output of a compaction is ended, in bytes. 32 MiB by default.
    pub table_bytes: u64,
    /// How large the first level below level 0 may be, in bytes. 64 MiB by default.
    pub base_bytes: u64,
    /// How many times larger each further level may be. 10 by default.
    pub ratio: u64,
    /// How many tables of level 0 (leveled) or runs (tiered) call for a compaction. 4 by default.
    pub level0_tables: u64,
    /// How large blocks become before compression, in bytes. 4 KiB by default.
    pub block_bytes: u32,
    /// Bits that each key has in the filter of its table; 0 for none. 10 by default.
    pub filter_bits_per_key: u8,
    /// How many first bytes of each key are in the filter too. None by default.
    pub filter_prefix_bytes: Option<u16>,
    /// How blocks are made smaller in all levels but the deepest. Not at all by default, so that
    /// they are read in place.
    pub compression: Compression,
    /// How blocks are made smaller in the deepest level, which has most of the data. Not at all by
    /// default.
    pub bottom_compression: Compression,
    /// Values longer than this, in bytes, stay in the log of the tree's owner, and tables have
    /// [references](crate::Reference) to them: they are not written again by every compaction, and
    /// are read where they lie. `None`: never. 4 KiB by default, the size of a block: a value that is
    /// longer has a block of its own anyway, so a read of it touches no more pages in the log than in
    /// a table. In return their space comes back later: compactions have to drop the references
    /// first, and what else is in their segments has to be moved then.
    pub separate_over_bytes: Option<u32>,
}

impl Default for TreeOptions {
    fn default() -> Self {
        Self {
            style: Style::Leveled,
            table_bytes: 32 << 20,
            base_bytes: 64 << 20,
            ratio: 10,
            level0_tables: 4,
            block_bytes: 4 << 10,
            filter_bits_per_key: 10,
            filter_prefix_bytes: None,
            compression: Compression::None,
            bottom_compression: Compression::None,
            separate_over_bytes: Some(4 << 10),
        }
    }
}

/// The numbers under which options stand in the manifest. A number is never given to another
/// meaning.
mod id {
    pub(super) const STYLE: u64 = 1;
    pub(super) const KEEP_MS: u64 = 2;
    pub(super) const BYTES_MAX: u64 = 3;
    pub(super) const TABLE_BYTES: u64 = 4;
    pub(super) const BASE_BYTES: u64 = 5;
    pub(super) const RATIO: u64 = 6;
    pub(super) const LEVEL0_TABLES: u64 = 7;
    pub(super) const BLOCK_BYTES: u64 = 8;
    pub(super) const FILTER_BITS: u64 = 9;
    pub(super) const COMPRESSION: u64 = 10;
    pub(super) const BOTTOM_COMPRESSION: u64 = 11;
    pub(super) const FILTER_PREFIX: u64 = 12;
    pub(super) const SEPARATE_OVER: u64 = 13;
}

impl TreeOptions {
    /// The options as numbers with their values.
    pub(crate) fn fields(&self) -> Vec<(u64, u64)> {
        let (style, keep_ms, bytes_max) = match self.style {
            Style::Leveled => (1, 0, 0),
            Style::Tiered => (2, 0, 0),
            Style::Fifo { keep_ms, bytes_max } => (3, keep_ms, bytes_max),
        };
        vec![
            (id::STYLE, style),
            (id::KEEP_MS, keep_ms),
            (id::BYTES_MAX, bytes_max),
            (id::TABLE_BYTES, self.table_bytes),
            (id::BASE_BYTES, self.base_bytes),
            (id::RATIO, self.ratio),
            (id::LEVEL0_TABLES, self.level0_tables),
            (id::BLOCK_BYTES, self.block_bytes.into()),
            (id::FILTER_BITS, self.filter_bits_per_key.into()),
            (id::COMPRESSION, number_of(self.compression)),
            (id::BOTTOM_COMPRESSION, number_of(self.bottom_compression)),
            (id::FILTER_PREFIX, self.filter_prefix_bytes.unwrap_or(0).into()),
            (id::SEPARATE_OVER, self.separate_over_bytes.map_or(u64::MAX, u64::from)),
        ]
    }

    /// The options that `fields` say; what they do not name has its default. `None` if they name
    /// something that this build does not know, or a value that cannot be.
    pub(crate) fn from_fields(fields: impl IntoIterator<Item = (u64, u64)>) -> Option<Self> {
        let mut options = Self::default();
        let (mut style, mut keep_ms, mut bytes_max) = (1, 0, 0);
        for (field, value) in fields {
            match field {
                id::STYLE => style = value,
                id::KEEP_MS => keep_ms = value,
                id::BYTES_MAX => bytes_max = value,
                id::TABLE_BYTES => options.table_bytes = value,
                id::BASE_BYTES => options.base_bytes = value,
                id::RATIO => options.ratio = value,
                id::LEVEL0_TABLES => options.level0_tables = value,
                id::BLOCK_BYTES => options.block_bytes = value.try_into().ok()?,
                id::FILTER_BITS => options.filter_bits_per_key = value.try_into().ok()?,
                id::COMPRESSION => options.compression = compression_of(value)?,
                id::BOTTOM_COMPRESSION => options.bottom_compression = compression_of(value)?,
                id::FILTER_PREFIX => {
                    let bytes = u16::try_from(value).ok()?;
                    options.filter_prefix_bytes = (bytes > 0).then_some(bytes);
                }
                id::SEPARATE_OVER => {
                    let over = (value != u64::MAX).then_some(value);
                    options.separate_over_bytes = over.map(u32::try_from).transpose().ok()?;
                }
                _ => return None,
            }
        }
        options.style = match (style, keep_ms, bytes_max) {
            (1, 0, 0) => Style::Leveled,
            (2, 0, 0) => Style::Tiered,
            (3, keep_ms, bytes_max) => Style::Fifo { keep_ms, bytes_max },
            _ => return None,
        };
        options.validate_shape().is_ok().then_some(options)
    }

    /// How blocks of tables of `level` are made smaller.
    ///
    /// ```
    /// # use annals_ordered as annals;
    /// use annals::{Compression, TreeOptions};
    /// let options = TreeOptions { compression: Compression::Lz4, ..TreeOptions::default() };
    /// assert_eq!(options.compression_of(0), Compression::Lz4);
    /// assert_eq!(options.compression_of(6), Compression::None);
    /// ```
    #[must_use]
    pub fn compression_of(&self, level: usize) -> Compression {
        if level + 1 < LEVELS { self.compression } else { self.bottom_compression }
    }

    /// How a table of `level` is written.
    ///
    /// ```
    /// # use annals_ordered as annals;
    /// use annals::TreeOptions;
    /// let options = TreeOptions { filter_bits_per_key: 12, ..TreeOptions::default() };
    /// assert_eq!(options.table_options(0).filter_bits_per_key, 12);
    /// ```
    #[must_use]
    pub fn table_options(&self, level: usize) -> TableOptions {
        TableOptions {
            block_bytes: self.block_bytes,
            compression: self.compression_of(level),
            filter_bits_per_key: self.filter_bits_per_key,
            filter_prefix_bytes: self.filter_prefix_bytes,
        }
    }

    /// Checks that each setting is in its range.
    ///
    /// ```
    /// # use annals_ordered as annals;
    /// use annals::TreeOptions;
    /// assert!(TreeOptions::default().validate().is_ok());
    /// let wrong = TreeOptions { table_bytes: 0, ..TreeOptions::default() };
    /// assert!(wrong.validate().expect_err("1 KiB to 4 GiB").to_string().contains("table_bytes"));
    /// ```
    ///
    /// # Errors
    /// `Config`, which names the setting; `Codec`, if the build was made without a compression.
    pub fn validate(&self) -> Result<()> {
        self.validate_shape()?;
        self.table_options(0).validate()?;
        self.table_options(LEVELS - 1).validate()
    }

    /// As [`validate`](Self::validate), for what a build can also work with if it lacks a
    /// compression.
    fn validate_shape(&self) -> Result<()> {
        let check = |field, value: u64, least: u64, most: u64, allowed| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(Error::Config { field, value, allowed })
        };
        check("table_bytes", self.table_bytes, 1 << 10, 4 << 30, "1 KiB to 4 GiB")?;
        check("base_bytes", self.base_bytes, 1 << 10, 1 << 40, "1 KiB to 1 TiB")?;
        check("ratio", self.ratio, 2, 100, "2 to 100")?;
        check("level0_tables", self.level0_tables, 2, 100, "2 to 100")
    }
}

/// The codec in the low byte, its level in the next.
fn number_of(compression: Compression) -> u64 {
    match compression {
        Compression::None => 0,
        Compression::Lz4 => 1,
        Compression::Zstd { level } => 2 | u64::from(level) << 8,
    }
}

fn compression_of(number: u64) -> Option<Compression> {
    Some(match (number & 0xff, number >> 8) {
        (0, 0) => Compression::None,
        (1, 0) => Compression::Lz4,
        (2, level) => Compression::Zstd { level: u8::try_from(level).ok()? },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_round_trip_and_unknown_ones_are_refused() {
        for (style, ratio) in [
            (Style::Leveled, 7),
            (Style::Tiered, 8),
            (Style::Fifo { keep_ms: 5, bytes_max: u64::MAX }, 7),
        ] {
            let options = TreeOptions {
                style,
                ratio,
                filter_prefix_bytes: Some(9),
                bottom_compression: Compression::Zstd { level: 5 },
                separate_over_bytes: (ratio == 7).then_some(u32::MAX),
                ..TreeOptions::default()
            };
            assert_eq!(TreeOptions::from_fields(options.fields()), Some(options));
        }
        assert_eq!(TreeOptions::from_fields([]), Some(TreeOptions::default()));
        for wrong in [
            (0, 1),
            (14, 1),
            (id::SEPARATE_OVER, 1 << 32),
            (id::STYLE, 4),
            (id::COMPRESSION, 3),
            (id::RATIO, 1),
        ] {
            assert_eq!(TreeOptions::from_fields([wrong]), None, "{wrong:?}");
        }
    }
}
