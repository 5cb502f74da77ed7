//! Reading the chain forward, record by record, up to what the views hold, and waiting for more.

use crate::{
    Error, Hold, Journal, Position, Record, Result, SegmentGuard, Seq,
    format::{FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentKind},
    frame::{FrameHeader, FrameKind},
    shared::Shared,
};
use std::{
    sync::{Arc, atomic::Ordering},
    task::Waker,
    time::Duration,
};

/// A reader of the chain. While it lives, the log from its position on is held back from removal.
#[derive(Debug)]
pub struct Feed {
    shared: Arc<Shared>,
    position: Position,
    /// Where it stopped in the frame at the position.
    inside: Option<Inside>,
    hold: Hold,
}

/// A place in a frame that was checked.
#[derive(Clone, Copy, Debug)]
struct Inside {
    header: FrameHeader,
    /// The offset of the next record in the segment's file.
    at: usize,
    /// Records from there on.
    left: u32,
}

/// The place in the frame at `position` where it is read on, and what keeps its segment; `None` if the views
/// hold no more for now.
fn enter(
    shared: &Shared,
    position: Position,
    inside: Option<Inside>,
) -> Result<Option<(SegmentGuard<'_>, Inside)>> {
    if shared.applied.position() <= position {
        return Ok(None);
    }
    let Some(guard) = shared.chain_guard(position.ordinal) else {
        let oldest = Position { ordinal: position.ordinal + 1, offset: 0 };
        return Err(Error::Gone { wanted: position, oldest });
    };
    let inside = match inside {
        Some(inside) => inside,
        None => {
            let offset = position.offset as usize;
            let header = *guard.segment().frame(offset)?.header();
            Inside { header, at: offset + FRAME_HEADER_BYTES, left: header.count }
        }
    };
    Ok(Some((guard, inside)))
}

impl Shared {
    /// The unbroken end of the chain: base sequence number and ordinal of each segment. Log
    /// compaction may have taken segments out of the middle; what lies before such a gap cannot
    /// be read in order any more.
    fn chain(&self) -> Vec<(Seq, u32)> {
        // Of a log that was torn, and that no writer has opened since, there may be segments behind its end: the
        // next writer cuts them off.
        let end = self.appended.position().ordinal;
        let mut chain: Vec<(Seq, u32)> = self
            .segments
            .iter()
            .filter(|guard| guard.segment().kind() == SegmentKind::Log)
            .filter(|guard| !guard.segment().is_leaving() && guard.segment().ordinal() <= end)
            .map(|guard| (guard.segment().base_seq(), guard.segment().ordinal()))
            .collect();
        chain.sort_unstable_by_key(|(_, ordinal)| *ordinal);
        let gap = (1..chain.len()).rev().find(|at| chain[*at].1 != chain[at - 1].1 + 1);
        chain.split_off(gap.unwrap_or(0))
    }

    /// The guard of the chain's segment at `ordinal`.
    pub(crate) fn chain_guard(&self, ordinal: u32) -> Option<SegmentGuard<'_>> {
        self.segments.iter().find(|guard| {
            guard.segment().kind() == SegmentKind::Log && guard.segment().ordinal() == ordinal
        })
    }
}

impl Journal {
    /// Reads the chain from the first frame that has a record numbered `from` or higher.
    ///
    /// # Errors
    /// [`Error::Gone`] if the log no longer reaches back that far; use [`Journal::oldest_seq`] to
    /// start where it does.
    pub fn feed(&self, name: &str, from: Seq) -> Result<Feed> {
        // The hold comes first: what is found then cannot be given up any more, and what was given
        // up before is not found.
        let hold = self.hold(name, Position::default());
        let chain = self.shared.chain();
        let at = |ordinal| Position { ordinal, offset: SEGMENT_HEADER_BYTES as u32 };
        let (oldest_seq, oldest) = chain.first().copied().unwrap_or_default();
        if from < oldest_seq && oldest > 1 {
            return Err(Error::Gone { wanted: at(0), oldest: at(oldest) });
        }
        let start = chain.iter().rev().find(|(base, _)| *base <= from).map_or(oldest, |c| c.1);
        let (shared, position) = (Arc::clone(&self.shared), at(start));
        let mut feed = Feed { shared, position, inside: None, hold };
        feed.skip_to(from)?;
        feed.hold.advance(feed.position);
        Ok(feed)
    }

    /// Lets go of the segments in `slots` as places where a feed may begin, except those of the
    /// chain that are held back already. Returns the ones let go.
    #[must_use]
    pub fn give_up(&self, slots: &[u32]) -> Vec<u32> {
        let segments = &self.shared.segments;
        self.shared.holds.settled(|held_from| {
            let free = |slot: &&u32| {
                let Some(guard) = segments.guard(**slot) else { return false };
                let segment = guard.segment();
                let held = segment.kind() == SegmentKind::Log
                    && held_from.is_some_and(|ordinal| segment.ordinal() >= ordinal);
                if !held {
                    segment.set_leaving(true);
                }
                !held
            };
            slots.iter().filter(free).copied().collect()
        })
    }

    /// Undoes [`give_up`](Self::give_up) for segments that stay after all.
    pub fn take_back(&self, slots: &[u32]) {
        self.shared.holds.settled(|_| {
            for guard in slots.iter().filter_map(|slot| self.shared.segments.guard(*slot)) {
                guard.segment().set_leaving(false);
            }
        });
    }

    /// The lowest sequence number from which [`feed`](Self::feed) can read.
    #[must_use]
    pub fn oldest_seq(&self) -> Seq {
        self.shared.chain().first().map_or(Seq(1), |(base, _)| *base)
    }
}

/// So often a thread looks before it sleeps: for about as long as the next commit takes of a writer that makes no
/// pause. It is spared the way through the system, and so is the writer, whom it costs the most to wake somebody.
///
/// Who looks for longer seems to need a processor for itself, and the system has another one wake up for it each time: that
/// takes several times as long as going on where the writer just was.
const SPINS: u32 = 1 << 6;
/// Who is awake looks so often before it looks at the time.
const LOOKS: u32 = 1 << 5;

impl Journal {
    /// The segment of the chain at `ordinal`; `None` if there is none, or not yet.
    #[must_use]
    pub fn chain_guard(&self, ordinal: u32) -> Option<SegmentGuard<'_>> {
        self.shared.chain_guard(ordinal)
    }

    /// The position up to which the views hold everything. Takes no lock; what a view shows is at least that if it is
    /// asked afterwards.
    #[must_use]
    pub fn applied(&self) -> Position {
        self.shared.applied.position()
    }

    /// Whether the views hold more than what lies in front of `position`.
    #[inline]
    #[must_use]
    pub fn has_beyond(&self, position: Position) -> bool {
        self.shared.applied.position() > position
    }

    /// Waits until the views hold more than what lies in front of `position`, the journal is closed, or
    /// `timeout` is over. Returns whether they hold more.
    #[must_use]
    pub fn wait_beyond(&self, position: Position, timeout: Duration) -> bool {
        for _ in 0..SPINS {
            if self.has_beyond(position) {
                return true;
            }
            std::hint::spin_loop();
        }
        let ready = || self.has_beyond(position) || self.is_closed();
        self.shared.signals.wait_for_feed(timeout, ready) && self.has_beyond(position)
    }

    /// The same for a thread that does not sleep before `awake` is over, and until then uses its processor up: it
    /// is spared being woken.
    #[must_use]
    pub fn wait_beyond_awake(
        &self,
        position: Position,
        awake: Duration,
        timeout: Duration,
    ) -> bool {
        let disk = self.disk();
        let (since_ns, awake) = (disk.monotonic_ns(), awake.min(timeout));
        let mut spent = Duration::ZERO;
        while spent < awake && !self.is_closed() {
            for _ in 0..LOOKS {
                if self.has_beyond(position) {
                    return true;
                }
                std::hint::spin_loop();
            }
            let now = Duration::from_nanos(disk.monotonic_ns().saturating_sub(since_ns));
            if now == spent {
                // A clock that stands still, as one of tests may, keeps nobody from sleeping.
                break;
            }
            spent = now;
        }
        self.wait_beyond(position, timeout.saturating_sub(spent))
    }

    /// Wakes `waker` when the views may hold more than what lies in front of `position`, or the journal
    /// is closed. Returns whether that is so already; then nobody is woken.
    #[must_use]
    pub fn watch_beyond(&self, position: Position, waker: &Waker) -> bool {
        let ready = || self.has_beyond(position) || self.is_closed();
        self.shared.signals.watch_feed(waker, ready)
    }
}

impl Feed {
    /// The position of the next frame.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    fn skip_to(&mut self, from: Seq) -> Result<()> {
        loop {
            match enter(&self.shared, self.position, None).map(|found| found.map(|(_, to)| to)) {
                Err(Error::Damaged { .. }) if self.pass_damage(from) => {}
                Err(error) => return Err(error),
                Ok(None) => return Ok(()),
                Ok(Some(Inside { header, .. }))
                    if header.kind == FrameKind::Commit && header.next_seq() > from =>
                {
                    return Ok(());
                }
                Ok(Some(Inside { header, .. })) => self.leave(&header),
            }
        }
    }

    /// Moves behind a place that cannot be read, if a whole frame behind it says that nothing from
    /// `from` on was there.
    fn pass_damage(&mut self, from: Seq) -> bool {
        let Some(guard) = self.shared.chain_guard(self.position.ordinal) else { return false };
        match guard.segment().whole_frame_behind(self.position.offset as usize) {
            Some((offset, header)) if header.first_seq <= from => {
                self.position.offset = offset as u32;
                true
            }
            _ => false,
        }
    }

    /// Hands the records of the next frame to `visit`, in order, until it returns false: the next call goes
    /// on behind the last record it was given. So a commit may have more than fits into memory. Returns
    /// false if the views hold no more for now; a frame without records gives none.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the frame cannot be read.
    pub fn read(
        &mut self,
        visit: &mut dyn FnMut(&FrameHeader, &Record<'_>) -> bool,
    ) -> Result<bool> {
        let shared = Arc::clone(&self.shared);
        let Some((guard, mut inside)) = enter(&shared, self.position, self.inside)? else {
            return Ok(false);
        };
        while inside.left > 0 {
            // What was given out is not given out again, whatever comes next.
            self.inside = Some(inside);
            let (record, len) = guard.segment().record(inside.at)?;
            inside.at += len;
            inside.left -= 1;
            if !visit(&inside.header, &record) && inside.left > 0 {
                self.inside = Some(inside);
                return Ok(true);
            }
        }
        self.leave(&inside.header);
        Ok(true)
    }

    /// Moves behind the frame at the position.
    fn leave(&mut self, header: &FrameHeader) {
        self.inside = None;
        if header.kind == FrameKind::Seal {
            self.position.ordinal += 1;
            self.position.offset = SEGMENT_HEADER_BYTES as u32;
        } else {
            self.position.offset += header.len;
        }
        self.hold.advance(self.position);
    }

    /// Whether the views hold more than was read.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.shared.applied.position() > self.position
    }

    /// Waits until there is more to read, the journal is closed, or `timeout` is over. Returns
    /// whether there is more.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        let ready = || self.has_more() || self.is_closed();
        self.shared.signals.wait_for_feed(timeout, ready) && self.has_more()
    }

    /// Whether the journal was closed: no more will come.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }
}
