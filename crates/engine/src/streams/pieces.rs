//! The index by category and type: which pieces of a segment have events of which.
//!
//! It is made piece by piece by the first scan that wants some categories or types only and goes through all of
//! a piece, kept in memory, and used by the scans after it. It is made of what was checked, and says of a piece
//! that it *may* have such events: events are told apart by classes, which several types may share. So whoever
//! believes it reads too much at times, never too little; and of a piece of which it says nothing, because it
//! is damaged or not full yet, all events are read.

use crate::core::Core;
use annals_journal::SegmentGuard;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A segment has so many pieces, unless they would be shorter or longer than these.
const PIECES: u64 = 1024;
const PIECE_BYTES_MIN: u64 = 4 << 10;
const PIECE_BYTES_MAX: u64 = 64 << 10;
/// So many classes there are. One takes a bit for each piece of the segments that have events of it.
const CLASSES: usize = 1024;

/// A class of events.
pub(crate) type Class = u16;

/// The class of events of a category that are of a type, or of any.
pub(crate) fn class_of(space: u32, type_number: Option<u32>) -> Class {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let of_type = type_number.map_or(0, |number| u64::from(number) + 1);
    let mixed = (u64::from(space) << 32 ^ of_type).wrapping_mul(ODD);
    (mixed >> 32) as u16 % CLASSES as u16
}

/// A bit for each class.
type Classes = [u64; CLASSES / 64];

/// A place in a segment from which a cursor can go on: in front of a record of a frame, or in front of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spot {
    /// Where the frame begins that it is in, and where the next one does.
    pub(crate) frame_from: u32,
    pub(crate) frame_at: u32,
    /// Where the next record of the frame begins; 0 if none is left.
    pub(crate) record_at: u32,
    pub(crate) records_left: u32,
}

impl Spot {
    /// In front of a frame.
    pub(crate) fn at_frame(frame_at: u32) -> Self {
        Self { frame_from: frame_at, frame_at, record_at: 0, records_left: 0 }
    }

    fn offset(&self) -> u32 {
        if self.records_left > 0 { self.record_at } else { self.frame_at }
    }
}

/// What is known of the pieces of a segment, from its beginning on.
#[derive(Clone, Debug)]
struct Pieces {
    /// The length of a piece. A record is of the piece in which it begins.
    piece_bytes: u32,
    /// Of each piece the first place in it; the next one's, if nothing begins in it.
    begins: Vec<Spot>,
    /// The first place behind them.
    end: Spot,
    /// Which pieces have events of a class, a bit for each.
    having: BTreeMap<Class, Vec<u64>>,
}

impl Pieces {
    fn new(first_frame: u32, segment_bytes: u64) -> Self {
        let piece_bytes = (segment_bytes / PIECES).clamp(PIECE_BYTES_MIN, PIECE_BYTES_MAX) as u32;
        let (begins, end, having) = (Vec::new(), Spot::at_frame(first_frame), BTreeMap::new());
        Self { piece_bytes, begins, end, having }
    }

    fn piece_of(&self, at: Spot) -> usize {
        (at.offset() / self.piece_bytes) as usize
    }

    /// The offset at which a piece ends.
    fn end_of(&self, piece: usize) -> u32 {
        (piece as u32 + 1).saturating_mul(self.piece_bytes)
    }

    /// Adds a piece, behind which comes `end`.
    fn add(&mut self, end: Spot, classes: &Classes) {
        let piece = self.begins.len();
        self.begins.push(self.end);
        for class in (0..CLASSES).filter(|class| classes[class / 64] >> (class % 64) & 1 == 1) {
            set(self.having.entry(class as Class).or_default(), piece);
        }
        // A long record goes through pieces in which nothing begins.
        self.begins.resize(self.piece_of(end), end);
        self.end = end;
    }
}

fn set(bits: &mut Vec<u64>, index: usize) {
    if bits.len() <= index / 64 {
        bits.resize(index / 64 + 1, 0);
    }
    bits[index / 64] |= 1 << (index % 64);
}

/// What scans have learned of segments, by slot, with the number of the segment that was there.
#[derive(Debug, Default)]
pub(crate) struct Index {
    segments: Mutex<HashMap<u32, (u32, Arc<Pieces>)>>,
    /// How many pieces were passed by.
    passed: AtomicU64,
}

impl Index {
    fn of(&self, guard: &SegmentGuard<'_>) -> Option<Arc<Pieces>> {
        let segments = self.segments.lock();
        let (generation, pieces) = segments.get(&guard.slot())?;
        (*generation == guard.generation()).then(|| Arc::clone(pieces))
    }

    /// Keeps what is known of a segment, if it is more than before; and nothing of segments that are gone.
    fn keep(&self, core: &Core, guard: (u32, u32), pieces: &Arc<Pieces>) {
        let (slot, generation) = guard;
        let mut segments = self.segments.lock();
        let is_more = segments.get(&slot).is_none_or(|(known_generation, known)| {
            *known_generation != generation || known.begins.len() < pieces.begins.len()
        });
        if is_more {
            segments.insert(slot, (generation, Arc::clone(pieces)));
        }
        segments.retain(|slot, (generation, _)| {
            core.journal.guard(*slot).is_some_and(|guard| guard.generation() == *generation)
        });
    }

    /// How many pieces were passed by since the database was opened.
    #[cfg(test)]
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }
}

/// Leads a cursor past the pieces of its segment that have nothing for it.
pub(crate) struct Guide<'a> {
    core: &'a Core,
    segment: (u32, u32),
    pieces: Arc<Pieces>,
    wanted: Arc<[Class]>,
    /// Which of the known pieces have something, a bit for each.
    bits: Vec<u64>,
    /// Whether what is met in pieces that are not known is noted.
    may_grow: bool,
    /// What was met in the piece behind those that are known, while the cursor goes through that.
    met: Option<Classes>,
    has_grown: bool,
}

impl<'a> Guide<'a> {
    /// A guide to what has events of these classes. It learns of pieces that are not known if that is asked for.
    pub(crate) fn new(
        core: &'a Core,
        guard: &SegmentGuard<'_>,
        wanted: &Arc<[Class]>,
        may_grow: bool,
    ) -> Self {
        let pieces = core.index.of(guard);
        let pieces = pieces.unwrap_or_else(|| {
            let segment_bytes = core.journal.config().segment_bytes;
            Arc::new(Pieces::new(guard.first_frame(), segment_bytes))
        });
        let mut bits = vec![0; pieces.begins.len().div_ceil(64)];
        for having in wanted.iter().filter_map(|class| pieces.having.get(class)) {
            bits.iter_mut().zip(having).for_each(|(bits, having)| *bits |= having);
        }
        let (segment, wanted) = ((guard.slot(), guard.generation()), Arc::clone(wanted));
        Self { core, segment, pieces, wanted, bits, may_grow, met: None, has_grown: false }
    }

    /// Where a cursor goes on that has come to a piece at `at`, and the offset at which it is to ask again.
    pub(crate) fn lead(&mut self, mut at: Spot) -> (Spot, u32) {
        if let Some(met) = self.met.take() {
            self.learn(at, &met);
        }
        loop {
            let (piece, known) = (self.pieces.piece_of(at), self.pieces.begins.len());
            if piece >= known {
                if !self.may_grow || at != self.pieces.end {
                    return (at, u32::MAX);
                }
                self.met = Some([0; CLASSES / 64]);
                return (at, self.pieces.end_of(piece));
            }
            let next = (piece..known).find(|piece| self.has_something(*piece));
            let passed = next.unwrap_or(known) - piece;
            self.core.index.passed.fetch_add(passed as u64, Ordering::Relaxed);
            if passed > 0 {
                at = next.map_or(self.pieces.end, |next| self.pieces.begins[next]);
            }
            if let Some(next) = next {
                return (at, self.pieces.end_of(next));
            }
        }
    }

    /// Whether it wants to be told of each event, and no frame to be passed over.
    pub(crate) fn learns(&self) -> bool {
        self.met.is_some()
    }

    /// Notes an event that the cursor goes past; `None`: one that cannot be read.
    pub(crate) fn note(&mut self, event: Option<(u32, u32)>) {
        let (Some(met), Some((space, type_number))) = (&mut self.met, event) else {
            (self.met, self.may_grow) = (None, false);
            return;
        };
        for class in [class_of(space, None), class_of(space, Some(type_number))] {
            met[usize::from(class) / 64] |= 1 << (class % 64);
        }
    }

    /// The cursor has gone through a piece, and come to `end`.
    fn learn(&mut self, end: Spot, met: &Classes) {
        let is_met = |class: &Class| met[usize::from(*class) / 64] >> (class % 64) & 1 == 1;
        if self.wanted.iter().any(is_met) {
            set(&mut self.bits, self.pieces.begins.len());
        }
        Arc::make_mut(&mut self.pieces).add(end, met);
        self.has_grown = true;
    }

    fn has_something(&self, piece: usize) -> bool {
        self.bits.get(piece / 64).is_some_and(|bits| bits >> (piece % 64) & 1 == 1)
    }
}

impl Clone for Guide<'_> {
    /// Knows what this one knows, and learns nothing: the index is told of a piece by one of them.
    fn clone(&self) -> Self {
        let (pieces, wanted) = (Arc::clone(&self.pieces), Arc::clone(&self.wanted));
        let (may_grow, met, has_grown) = (false, None, false);
        Self { pieces, wanted, bits: self.bits.clone(), may_grow, met, has_grown, ..*self }
    }
}

impl Drop for Guide<'_> {
    fn drop(&mut self) {
        if self.has_grown {
            self.core.index.keep(self.core, self.segment, &self.pieces);
        }
    }
}
