//! The arena: the memory of all subtables, in pages of one kibibyte.
//!
//! Memory is added in chunks and never freed while the table lives, so a reader that follows an outdated page
//! number still reads words, if not the ones it wants; whether they were is for the validation to say. Pages are
//! all alike: a subtable names up to seven of them, wherever they are, so that recycling leaves no gaps.
//!
//! A page number says where the page is: `group:5 | chunk:6 | offset:21`. The chunks of a group are of one size,
//! which doubles from group to group, so that a chunk adds at most a sixty-fourth of what there is; once there is
//! enough, an eighth, in chunks that the system can give as large pages.

use std::iter;
use std::sync::OnceLock;

use annals_disk::Words;

use super::bucket::{Bucket, SLOTS};
use super::shape::{FIRST, PAGE};

/// Groups of chunks: 256 GiB.
const GROUPS: u32 = 21;
/// From this group on, chunks are of at least two mebibytes. Before it there are 16 MiB.
const LARGE_GROUP: u32 = 9;
/// Pages of a chunk of that group.
const LARGE_PAGES: u32 = 2048;
const CHUNK_SHIFT: u32 = 21;
const GROUP_SHIFT: u32 = 27;

/// Chunks of the first group, and of the others.
const FIRST_CHUNKS: u32 = 8;
const CHUNKS: u32 = 64;

type Chunk = OnceLock<Words>;

/// The page a new table starts with, which has only [`FIRST`] buckets.
pub(super) const SHORT_PAGE: u32 = 0;

/// The memory.
#[derive(Default)]
pub(super) struct Arena {
    groups: [OnceLock<Box<[Chunk]>>; GROUPS as usize],
}

impl Arena {
    /// The bucket of a page. `None` if there is no such page, as far as this thread can see.
    #[inline(always)]
    pub(super) fn bucket(&self, page: u32, at: usize) -> Option<Bucket<'_>> {
        let chunks = self.groups.get((page >> GROUP_SHIFT) as usize)?.get()?;
        let chunk = chunks.get((page >> CHUNK_SHIFT) as usize & (CHUNKS as usize - 1))?.get()?;
        let bucket = (page & ((1 << CHUNK_SHIFT) - 1)) as usize * PAGE + at;
        let (buckets, _) = chunk.get().as_chunks();
        Some(Bucket(buckets.get(bucket)?))
    }

    /// Makes sure the page exists; returns the bytes this took.
    pub(super) fn provide(&self, page: u32) -> usize {
        let group = page >> GROUP_SHIFT;
        assert!(group < GROUPS, "the hash table has used up its page numbers");
        let mut bytes = 0;
        let chunks = self.groups[group as usize].get_or_init(|| {
            let chunks: Box<[Chunk]> =
                iter::repeat_with(Chunk::new).take(chunks_of(group) as usize).collect();
            bytes += size_of_val(&*chunks);
            chunks
        });
        chunks[(page >> CHUNK_SHIFT) as usize & (CHUNKS as usize - 1)].get_or_init(|| {
            let buckets = if page == SHORT_PAGE { FIRST } else { pages_of(group) as usize * PAGE };
            let chunk = Words::zeroed(buckets * SLOTS);
            bytes += size_of_val(chunk.get());
            chunk
        });
        bytes
    }
}

/// Chunks of a group.
fn chunks_of(group: u32) -> u32 {
    if group == 0 { FIRST_CHUNKS } else { CHUNKS }
}

/// Pages of a chunk.
fn pages_of(group: u32) -> u32 {
    match group.checked_sub(LARGE_GROUP) {
        Some(beyond) => LARGE_PAGES << beyond,
        None => 1 << group.saturating_sub(1),
    }
}

/// The number of the page after this one.
pub(super) fn after(page: u32) -> u32 {
    let group = page >> GROUP_SHIFT;
    let next = page + 1;
    if next & ((1 << CHUNK_SHIFT) - 1) < pages_of(group)
        && next >> CHUNK_SHIFT == page >> CHUNK_SHIFT
    {
        return next;
    }
    let chunk = (page >> CHUNK_SHIFT) + 1;
    if chunk & (CHUNKS - 1) < chunks_of(group) && chunk >> (GROUP_SHIFT - CHUNK_SHIFT) == group {
        return chunk << CHUNK_SHIFT;
    }
    (group + 1) << GROUP_SHIFT
}
