//! Compaction of a range that somebody asked for, done at once.

use crate::{
    KeyRange, Result, Style, Tree, Work,
    compaction::{
        choice::Ask,
        range::{Next, RangeCompaction},
    },
    view::Sealed,
};
use std::sync::{Arc, atomic::Ordering};

/// How long to wait for work of others before looking again, in nanoseconds.
const WAIT_NS: u64 = 1_000_000;

/// See [`Tree::compact_range`].
pub(crate) fn compact_range(tree: &Tree, range: Option<KeyRange>, now_ms: u64) -> Result<()> {
    let (store, core) = (&tree.store, &tree.core);
    let asked = core.view.load().sealed.clone();
    let waits = |sealed: &Arc<Sealed>| asked.iter().any(|asked| Arc::ptr_eq(asked, sealed));
    while core.view.load().sealed.iter().any(waits) {
        store.check()?;
        store.site.check_going_on()?;
        tree.check_there()?;
        match Work::flush_of(store, core, now_ms) {
            Some(work) => work.run()?,
            None => (store.site.pause)(WAIT_NS),
        }
    }
    // Where the oldest go first, nothing is merged but what the style merges.
    if matches!(core.options.style, Style::Fifo { .. }) {
        return Ok(());
    }
    let next_number = || store.site.next_number.load(Ordering::Relaxed);
    let mut steps = RangeCompaction::new(range, next_number());
    loop {
        store.check()?;
        store.site.check_going_on()?;
        tree.check_there()?;
        let horizon = store.horizon(now_ms);
        let next = {
            let running = core.running.lock();
            let view = core.view.load_full();
            let next = steps.next(
                &Ask {
                    levels: &view.version.levels,
                    options: &core.options,
                    running: &running,
                    settled_seq: horizon.settled_seq(),
                    held_seq: horizon.held_seq(),
                    now_ms: horizon.now_ms,
                    input_bytes_max: u64::MAX,
                },
                next_number(),
            );
            match next {
                Next::Piece(piece) => Some(Work::claim(store, core, running, &view, piece, now_ms)),
                Next::Wait => match running.hopeless() {
                    Some(error) => return Err(error.clone()),
                    None => None,
                },
                Next::Done => return Ok(()),
            }
        };
        match next {
            Some(work) => work.run()?,
            None => (store.site.pause)(WAIT_NS),
        }
    }
}
