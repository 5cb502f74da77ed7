//! How a tree keeps its tables. Written to the manifest, so that a tree can be worked on by who
//! knows nothing but the directory.

/// How compaction arranges a tree's tables.
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
        /// How many bytes are kept at most; 0: no limit. What is beyond is dropped, oldest first.
        bytes_max: u64,
    },
}

/// How blocks are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Packing {
    /// Not at all.
    None,
    /// With LZ4: quick.
    #[default]
    Lz4,
    /// With zstd: small.
    Zstd,
}

/// How a tree keeps its tables.
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
    /// How large a block may grow before it is compressed, in bytes. 4 KiB by default.
    pub block_bytes: u64,
    /// How many bits of a table's filter each key takes; 0 for tables without one. 10 by default.
    pub filter_bits: u64,
    /// How blocks are compressed in all levels but the deepest. Not at all by default.
    pub packing: Packing,
    /// How blocks are compressed in the deepest level. LZ4 by default.
    pub bottom_packing: Packing,
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
            filter_bits: 10,
            packing: Packing::None,
            bottom_packing: Packing::Lz4,
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
    pub(super) const PACKING: u64 = 10;
    pub(super) const BOTTOM_PACKING: u64 = 11;
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
            (id::BLOCK_BYTES, self.block_bytes),
            (id::FILTER_BITS, self.filter_bits),
            (id::PACKING, packing_number(self.packing)),
            (id::BOTTOM_PACKING, packing_number(self.bottom_packing)),
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
                id::BLOCK_BYTES => options.block_bytes = value,
                id::FILTER_BITS => options.filter_bits = value,
                id::PACKING => options.packing = packing_from(value)?,
                id::BOTTOM_PACKING => options.bottom_packing = packing_from(value)?,
                _ => return None,
            }
        }
        options.style = match (style, keep_ms, bytes_max) {
            (1, 0, 0) => Style::Leveled,
            (2, 0, 0) => Style::Tiered,
            (3, keep_ms, bytes_max) => Style::Fifo { keep_ms, bytes_max },
            _ => return None,
        };
        options.check().is_ok().then_some(options)
    }

    /// How blocks of tables of `level` are compressed.
    #[must_use]
    pub fn packing_of(&self, level: usize) -> Packing {
        if level + 1 < crate::LEVELS { self.packing } else { self.bottom_packing }
    }

    /// Whether the values are ones that a tree can work with.
    ///
    /// # Errors
    /// Which is not, and what it may be.
    pub fn check(&self) -> Result<(), &'static str> {
        if !(1 << 10..=4 << 30).contains(&self.table_bytes) {
            return Err("table_bytes must be from 1 KiB to 4 GiB");
        }
        if !(1 << 10..=1 << 40).contains(&self.base_bytes) {
            return Err("base_bytes must be from 1 KiB to 1 TiB");
        }
        if !(2..=100).contains(&self.ratio) {
            return Err("ratio must be from 2 to 100");
        }
        if !(2..=100).contains(&self.level0_tables) {
            return Err("level0_tables must be from 2 to 100");
        }
        if !(64..=1 << 20).contains(&self.block_bytes) {
            return Err("block_bytes must be from 64 bytes to 1 MiB");
        }
        if self.filter_bits > 64 {
            return Err("filter_bits must be at most 64");
        }
        Ok(())
    }
}

fn packing_number(packing: Packing) -> u64 {
    match packing {
        Packing::None => 0,
        Packing::Lz4 => 1,
        Packing::Zstd => 2,
    }
}

fn packing_from(number: u64) -> Option<Packing> {
    Some(match number {
        0 => Packing::None,
        1 => Packing::Lz4,
        2 => Packing::Zstd,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_round_trip_and_unknown_ones_are_refused() {
        for style in
            [Style::Leveled, Style::Tiered, Style::Fifo { keep_ms: 5, bytes_max: u64::MAX }]
        {
            let options = TreeOptions { style, ratio: 7, ..TreeOptions::default() };
            assert_eq!(TreeOptions::from_fields(options.fields()), Some(options));
        }
        assert_eq!(TreeOptions::from_fields([]), Some(TreeOptions::default()));
        for wrong in [(0, 1), (12, 1), (id::STYLE, 4), (id::PACKING, 3), (id::RATIO, 1)] {
            assert_eq!(TreeOptions::from_fields([wrong]), None, "{wrong:?}");
        }
    }
}
