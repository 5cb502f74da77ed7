//! The bytes of one simulated file: what readers see, and what a power cut leaves.
//!
//! Invariants:
//! * `memory` holds the volatile bytes; behind `len` it is zero;
//! * a page of `memory` that differs from its durable twin is dirty or lost;
//! * lost pages are those a failed sync covered: they count as written, and are not;
//! * every memory that a region was given shows the same bytes, also after the file grew.

use super::rng::Rng;
use crate::pages::{PAGE_BYTES, Pages};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Weak},
};

/// The unit that a device writes whole, or not at all.
const SECTOR_BYTES: usize = 512;

type Page = [u8; PAGE_BYTES];

/// The bytes of a file.
#[derive(Debug)]
pub(super) struct Content {
    memory: Arc<Pages>,
    /// Smaller memories that regions were given before the file grew.
    outgrown: Vec<Weak<Pages>>,
    len: usize,
    /// The durable pages that are not all zero.
    durable: BTreeMap<usize, Box<Page>>,
    durable_len: usize,
    dirty: BTreeSet<usize>,
    lost: BTreeSet<usize>,
}

impl Content {
    /// An empty file.
    pub(super) fn empty() -> io::Result<Self> {
        Ok(Self {
            memory: Arc::new(Pages::zeroed(0)?),
            outgrown: Vec::new(),
            len: 0,
            durable: BTreeMap::new(),
            durable_len: 0,
            dirty: BTreeSet::new(),
            lost: BTreeSet::new(),
        })
    }

    /// A file whose `bytes` are durable.
    pub(super) fn durable(bytes: &[u8]) -> io::Result<Self> {
        let mut content = Self::empty()?;
        content.grow(bytes.len())?;
        content.write(0, bytes);
        content.sync();
        Ok(content)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The memory for a new region.
    pub(super) fn memory(&self) -> &Arc<Pages> {
        &self.memory
    }

    /// A copy of the volatile bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.volatile(0, self.len).to_vec()
    }

    /// A copy of the durable bytes.
    pub(super) fn durable_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.durable_len];
        for (index, page) in &self.durable {
            let start = index * PAGE_BYTES;
            if start < bytes.len() {
                let end = bytes.len().min(start + PAGE_BYTES);
                bytes[start..end].copy_from_slice(&page[..end - start]);
            }
        }
        bytes
    }

    #[allow(unsafe_code, reason = "the memory is only reachable through unsafe calls")]
    fn volatile(&self, offset: usize, len: usize) -> &[u8] {
        // SAFETY: regions of this disk are written through `write` alone, which needs `&mut self`,
        // so nothing is written as long as the slice lives.
        unsafe { self.memory.read(offset, len) }
    }

    fn page(&self, index: usize) -> Page {
        let mut page = [0; PAGE_BYTES];
        page.copy_from_slice(self.volatile(index * PAGE_BYTES, PAGE_BYTES));
        page
    }

    /// Makes the file `len` bytes long, if it is shorter.
    pub(super) fn grow(&mut self, len: usize) -> io::Result<()> {
        if len > self.memory.capacity() {
            let larger = Pages::zeroed(len.max(self.memory.capacity().saturating_mul(2)))?;
            for index in self.pages_in_use() {
                let page = self.page(index);
                poke(&larger, index * PAGE_BYTES, &page);
            }
            self.outgrown.retain(|memory| memory.strong_count() > 0);
            self.outgrown.push(Arc::downgrade(&self.memory));
            self.memory = Arc::new(larger);
        }
        self.len = self.len.max(len);
        Ok(())
    }

    /// The pages that may hold something else than zeroes.
    fn pages_in_use(&self) -> BTreeSet<usize> {
        let mut pages = &self.dirty | &self.lost;
        pages.extend(self.durable.keys());
        let capacity = self.memory.capacity() / PAGE_BYTES;
        pages.retain(|index| *index < capacity);
        pages
    }

    /// Writes inside the file.
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.memory.capacity());
        if bytes.is_empty() {
            return;
        }
        poke(&self.memory, offset, bytes);
        for memory in self.outgrown.iter().filter_map(Weak::upgrade) {
            let end = memory.capacity().min(offset + bytes.len());
            if offset < end {
                poke(&memory, offset, &bytes[..end - offset]);
            }
        }
        for index in offset / PAGE_BYTES..=(offset + bytes.len() - 1) / PAGE_BYTES {
            self.dirty.insert(index);
            // The whole page will be written again, with what the failed sync left out.
            self.lost.remove(&index);
        }
    }

    /// Writes zeroes inside the file. Pages that never held anything else need no write, which
    /// keeps large preallocated files cheap.
    pub(super) fn clear(&mut self, offset: usize, len: usize) {
        let end = offset + len;
        for index in self.pages_in_use().range(offset / PAGE_BYTES..) {
            let page = index * PAGE_BYTES;
            let (start, stop) = (offset.max(page), end.min(page + PAGE_BYTES));
            if start < stop {
                self.write(start, &[0; PAGE_BYTES][..stop - start]);
            }
        }
    }

    /// Takes the bytes from `len` on away. Regions must not touch them again.
    pub(super) fn cut(&mut self, len: usize) {
        if len < self.len {
            self.clear(len, self.len - len);
            self.len = len;
        }
    }

    /// Takes all bytes away. Regions that are open keep the old ones.
    pub(super) fn reset(&mut self) -> io::Result<()> {
        let memory = Arc::new(Pages::zeroed(0)?);
        let old = self.pages_in_use();
        self.dirty.extend(old);
        self.lost.clear();
        self.outgrown.clear();
        // Pages behind the end of the new memory have no volatile bytes, which `settle` knows.
        self.memory = memory;
        self.len = 0;
        Ok(())
    }

    /// Makes everything durable, except what an earlier failure lost.
    pub(super) fn sync(&mut self) {
        for index in std::mem::take(&mut self.dirty) {
            self.settle(index);
        }
        self.durable_len = self.len;
        drop(self.durable.split_off(&self.len.div_ceil(PAGE_BYTES)));
    }

    /// What Linux does when the device refuses: the pages count as clean, and are not on it.
    pub(super) fn fail_sync(&mut self) {
        self.lost.append(&mut self.dirty);
    }

    /// Writes some of the dirty pages back, as a kernel does at any time.
    pub(super) fn write_back(&mut self, rng: &mut Rng) {
        for index in self.dirty.clone() {
            if index * PAGE_BYTES < self.len && rng.chance(0.5) {
                self.dirty.remove(&index);
                self.settle(index);
                // A file system records the length that its written pages need.
                let end = self.len.min((index + 1) * PAGE_BYTES);
                self.durable_len = self.durable_len.max(end);
            }
        }
    }

    /// Whether there is something to write back.
    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Copies a page to the durable image.
    fn settle(&mut self, index: usize) {
        let page = self.page_or_zero(index);
        self.put_durable(index, page);
    }

    fn put_durable(&mut self, index: usize, page: Page) {
        if page.iter().all(|byte| *byte == 0) {
            self.durable.remove(&index);
        } else {
            self.durable.insert(index, Box::new(page));
        }
    }

    fn page_or_zero(&self, index: usize) -> Page {
        if (index + 1) * PAGE_BYTES <= self.memory.capacity() {
            self.page(index)
        } else {
            [0; PAGE_BYTES]
        }
    }

    fn durable_page(&self, index: usize) -> Page {
        self.durable.get(&index).map_or([0; PAGE_BYTES], |page| **page)
    }

    /// Inverts a bit in both images, where they reach that far.
    pub(super) fn flip(&mut self, offset: usize, bit: u8) {
        assert!(bit < 8, "a byte has no bit {bit}");
        let (index, inside) = (offset / PAGE_BYTES, offset % PAGE_BYTES);
        if offset < self.durable_len {
            let mut page = self.durable_page(index);
            page[inside] ^= 1 << bit;
            self.put_durable(index, page);
        }
        if offset < self.len {
            let flipped = [self.volatile(offset, 1)[0] ^ (1 << bit)];
            let (dirty, lost) = (self.dirty.contains(&index), self.lost.contains(&index));
            self.write(offset, &flipped);
            // Damage is no write: it neither makes a page dirty nor brings a lost one back.
            if !dirty {
                self.dirty.remove(&index);
            }
            if lost {
                self.lost.insert(index);
            }
        }
    }

    /// The file after a power cut.
    pub(super) fn survivor(&self, rng: &mut Rng) -> io::Result<Self> {
        // See `Tree::survivors`: loaded coins find what a fair one does not.
        let (new_share, torn_share) = (rng.pick(&[0.0, 0.1, 0.5, 0.9, 1.0]), rng.pick(&[0.0, 0.3]));
        let len = self.surviving_len(rng);
        let mut pages = self.durable.clone();
        for index in &self.dirty {
            let (old, new) = (self.durable_page(*index), self.page_or_zero(*index));
            let page = if rng.chance(torn_share) {
                torn(&old, &new, rng)
            } else if rng.chance(new_share) {
                new
            } else {
                old
            };
            pages.insert(*index, Box::new(page));
        }
        let mut content = Self::empty()?;
        content.grow(len)?;
        for (index, page) in pages {
            let start = index * PAGE_BYTES;
            if start < len {
                content.write(start, &page[..PAGE_BYTES.min(len - start)]);
            }
        }
        content.sync();
        Ok(content)
    }

    /// The old length, the new one, or one that the file went through while it grew.
    fn surviving_len(&self, rng: &mut Rng) -> usize {
        let choice = rng.below(3);
        let between = self.len.saturating_sub(self.durable_len) as u64;
        match choice {
            0 => self.durable_len,
            1 if between > 0 => {
                let len = self.durable_len + rng.below(between) as usize;
                self.len.min(len.next_multiple_of(PAGE_BYTES))
            }
            _ => self.len,
        }
    }

    /// The file after its process was killed: the kernel keeps everything.
    pub(super) fn copy(&self) -> io::Result<Self> {
        let mut content = Self::empty()?;
        content.grow(self.len)?;
        for index in self.pages_in_use() {
            let start = index * PAGE_BYTES;
            if start < self.len {
                content.write(start, self.volatile(start, PAGE_BYTES.min(self.len - start)));
            }
        }
        content.durable.clone_from(&self.durable);
        content.durable_len = self.durable_len;
        content.dirty.clone_from(&self.dirty);
        content.lost.clone_from(&self.lost);
        Ok(content)
    }
}

/// A page of which the device wrote some sectors only.
fn torn(old: &Page, new: &Page, rng: &mut Rng) -> Page {
    let mut page = *old;
    for start in (0..PAGE_BYTES).step_by(SECTOR_BYTES) {
        if rng.chance(0.5) {
            let sector = start..start + SECTOR_BYTES;
            page[sector.clone()].copy_from_slice(&new[sector]);
        }
    }
    page
}

#[allow(unsafe_code, reason = "the memory is only reachable through unsafe calls")]
fn poke(memory: &Pages, offset: usize, bytes: &[u8]) {
    // SAFETY: the disk's lock keeps other writers out. Regions are read without it, under the rule
    // of the `region` module: the bytes written here are not published yet, or were given back, or
    // a test damages them while it holds no slice of them. `bytes` come from outside the memory.
    unsafe { memory.write(offset, bytes) }
}
