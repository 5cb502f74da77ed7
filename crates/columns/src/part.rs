//! Parts: many events by column, sorted by time, written once and never changed.
//!
//! The bytes are in docs/formats/part.md. A part is made in memory by a [`PartBuilder`] and read where it lies by a
//! [`PartView`]. All it has is in *sections*, each with a checksum that is verified when the section is first
//! touched; what a section says is not believed either way before it was compared with what is there, so a part that
//! somebody made up gives errors or wrong answers and does no other harm.
//!
//! Columns are divided into *chunks* of 256 rows. A chunk says how it is written down, and of each there are the lowest
//! and the highest number and the sum apart from it (*zones*), so that most questions touch few chunks. 64 chunks
//! of a column are a *page*: a section.

mod builder;
mod column;
mod day_sums;
mod dictionary;
mod field;
mod filter;
mod find_id;
mod frame;
mod id_index;
pub(crate) mod image;
mod meta;
mod moments;
mod numbers;
mod one_row;
mod row_set;
mod rows;
mod texts;
mod verify;
mod view;
mod write_column;
mod zones;

#[cfg(test)]
mod damage_test;
#[cfg(test)]
#[path = "part/day_sums_test.rs"]
mod day_sums_test;
#[cfg(test)]
mod part_test;

pub use builder::PartBuilder;
pub use day_sums::{DayBuckets, DaySums};
pub use frame::PartOutline;
pub use row_set::RowSet;
pub use rows::Rows;
pub use view::{Part, PartHead, PartView, Totals};

pub(crate) use dictionary::Dictionary;
pub(crate) use field::{FieldColumn, NumberField, TextField};
pub(crate) use filter::hash as text_hash;
pub(crate) use frame::mend;
#[cfg(test)]
pub(crate) use row_set::encode as encode_rows;
pub(crate) use row_set::{existing, rows_of, select};

/// Rows of a chunk.
pub const CHUNK_ROWS: usize = crate::kernels::CHUNK;
/// The version of the bytes of a part.
pub const PART_VERSION: u16 = 2;
/// That of parts without sums by day, which are written as ever.
const PART_VERSION_FIRST: u16 = 1;

/// Chunks of a page.
const PAGE_CHUNKS: usize = 64;

/// Which part of which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartIdentity {
    /// The database's id.
    pub database_id: u64,
    /// The part's number, never used twice in a database.
    pub number: u64,
}

impl PartIdentity {
    /// What the checksums of the part begin with, so that bytes of another part never pass.
    fn seed(&self) -> u32 {
        crc32c::crc32c_append(
            crc32c::crc32c(&self.database_id.to_le_bytes()),
            &self.number.to_le_bytes(),
        )
    }
}
