//! The pool: which pages of the arena are free. Only the writer has it.

use super::arena::{Arena, FIRST_PAGE, SHORT_PAGE};

/// Pages to be had.
pub(super) struct Pool {
    next: u32,
    free: Vec<u32>,
    arena_bytes: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self { next: FIRST_PAGE, free: Vec::new(), arena_bytes: 0 }
    }
}

impl Pool {
    /// The short page of a new table.
    pub(super) fn take_short(&mut self, arena: &Arena) -> u32 {
        self.arena_bytes += arena.provide(SHORT_PAGE);
        SHORT_PAGE
    }

    /// A page: a recycled one, with whatever words it had, or a new one.
    pub(super) fn take(&mut self, arena: &Arena) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            let page = self.reserve(arena);
            self.arena_bytes += arena.provide(page);
            page
        })
    }

    /// Goes on where so many new pages lie side by side, if they are many.
    pub(super) fn skip_to_room(&mut self, arena: &Arena, pages: usize) {
        if let Some(page) = arena.room(pages) {
            self.next = self.next.max(page);
        }
    }

    /// A new page, which the caller will provide, and whose memory it will [note](Self::note_provided).
    pub(super) fn reserve(&mut self, arena: &Arena) -> u32 {
        let page = self.next;
        self.next = arena.after(page);
        page
    }

    /// Reserved pages were provided, which took so much memory.
    pub(super) fn note_provided(&mut self, bytes: usize) {
        self.arena_bytes += bytes;
    }

    /// Gives pages back that no directory entry names any more.
    pub(super) fn give(&mut self, pages: &[u32]) {
        self.free.extend(pages.iter().filter(|&&page| page != SHORT_PAGE));
    }

    /// Memory of the arena and of the list of free pages.
    pub(super) fn memory_bytes(&self) -> usize {
        self.arena_bytes + self.free.capacity() * size_of::<u32>()
    }
}
