//! The blocks of an open table: reaching them, checking them when they are first touched, and getting
//! compressed ones back.

use super::{
    Reading,
    envelope::{BlockKind, ENVELOPE_BYTES, Envelope},
    footer::Footer,
    handle::Handle,
};
use crate::{
    BlockCache, Error, Result,
    cache::Block,
    compress::{self, Codec, Unpack},
    near::approach,
    number::u32_at,
};
use annals_disk::Region;
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The blocks of an open table.
#[derive(Debug)]
pub(super) struct Blocks {
    region: Region,
    path: PathBuf,
    seed: u32,
    /// Where the footer begins: no block reaches beyond.
    end: usize,
    /// A bit for each block that is read in place: its checksum was found right. Pages that leave
    /// memory and come back later are not checked again.
    verified: Box<[AtomicU64]>,
    blocks_count: u32,
    is_compressed: bool,
    cache: Arc<BlockCache>,
    cache_id: u64,
}

/// Where a block that is read in place is, its envelope not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    start: usize,
    len: usize,
}

impl Span {
    /// Where the envelope is.
    pub(super) fn envelope(self) -> u64 {
        (self.start - ENVELOPE_BYTES) as u64
    }

    /// Where the next block begins.
    pub(super) fn end(self) -> u64 {
        (self.start + self.len) as u64
    }
}

/// The bytes of a block of entries.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// In the file.
    Mapped(Span),
    /// In memory: it was compressed.
    Unpacked(Block),
}

/// How much of a block is fetched ahead: head and digests of a usual one.
const START_BYTES: usize = 320;
/// How much of an index block is fetched ahead: all of a usual one.
const INDEX_BYTES: usize = 1088;

impl Blocks {
    /// The blocks before `end`, where the footer begins.
    pub(super) fn new(
        region: Region,
        path: PathBuf,
        seed: u32,
        end: usize,
        footer: &Footer,
        cache: Arc<BlockCache>,
    ) -> Self {
        // As many blocks as fit: the footer is not believed without a look.
        let fitting = u32::try_from(end / ENVELOPE_BYTES).unwrap_or(u32::MAX);
        let blocks_count = footer.blocks_count.min(fitting);
        let words = blocks_count.div_ceil(u64::BITS) as usize;
        Self {
            region,
            path,
            seed,
            end,
            verified: std::iter::repeat_with(AtomicU64::default).take(words).collect(),
            blocks_count,
            is_compressed: footer.is_compressed,
            cache_id: cache.admit(),
            cache,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the footer begins.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    #[cold]
    pub(super) fn damaged(&self, offset: u64, what: &'static str) -> Error {
        Error::Damaged { path: self.path.clone(), offset, what }
    }

    /// The error for a block that is intact by its checksum and makes no sense.
    #[cold]
    pub(super) fn contradicts(&self, offset: u64) -> Error {
        self.damaged(offset, "a block contradicts itself")
    }

    /// The bytes of a block that is read in place.
    #[inline(always)]
    pub(super) fn mapped(&self, span: Span) -> &[u8] {
        self.region.read(span.start, span.len)
    }

    /// The bytes of a block of entries.
    #[inline(always)]
    pub(super) fn bytes<'a>(&'a self, body: &'a Body) -> &'a [u8] {
        match body {
            Body::Mapped(span) => self.mapped(*span),
            Body::Unpacked(block) => block,
        }
    }

    /// Any bytes before the footer.
    pub(super) fn raw(&self, offset: usize, len: usize) -> Option<&[u8]> {
        let is_inside = offset <= self.end && len <= self.end - offset;
        is_inside.then(|| self.region.read(offset, len))
    }

    /// All bytes of the footer.
    pub(super) fn footer(&self) -> &[u8] {
        self.region.read(self.end, self.region.len() - self.end)
    }

    /// Where the next block begins, as the one at `offset` tells; not to be believed.
    pub(super) fn told_end(&self, offset: u64) -> Option<u64> {
        self.span_at(offset).map(Span::end)
    }

    /// Asks for what is searched first of a block of entries to be brought closer. A hint.
    #[inline(always)]
    pub(super) fn approach_start(&self, handle: Handle) {
        self.approach(handle, START_BYTES);
    }

    /// Asks for an index block to be brought closer. A hint.
    #[inline(always)]
    pub(super) fn approach_index(&self, handle: Handle) {
        self.approach(handle, INDEX_BYTES);
    }

    /// Asks for the start of what stands behind a block that is read in place: the next one of its kind,
    /// most of the time. A hint.
    #[inline(always)]
    pub(super) fn approach_behind(&self, body: &Body) {
        if let Body::Mapped(span) = body
            && let Some(start) = self.raw(span.start + span.len, START_BYTES)
        {
            approach(start);
        }
    }

    #[inline(always)]
    fn approach(&self, handle: Handle, bytes: usize) {
        let Ok(offset) = usize::try_from(handle.offset) else { return };
        if let Some(start) = self.raw(offset, bytes) {
            approach(start);
        }
    }

    /// Where a block that is read in place is. Its checksum is found right the first time.
    #[inline(always)]
    pub(super) fn span(&self, handle: Handle, kind: BlockKind) -> Result<Span> {
        let Some(span) = self.span_at(handle.offset) else {
            return Err(self.damaged(handle.offset, "a block leaves the file"));
        };
        let (word, bit) = (handle.ordinal as usize / 64, 1 << (handle.ordinal % 64));
        let is_verified =
            self.verified.get(word).is_some_and(|word| word.load(Ordering::Relaxed) & bit != 0);
        if !is_verified {
            self.check_plain(handle, kind, span)?;
        }
        Ok(span)
    }

    #[inline(always)]
    fn span_at(&self, offset: u64) -> Option<Span> {
        let offset = usize::try_from(offset).ok()?;
        let len = u32_at(self.raw(offset, ENVELOPE_BYTES)?, 4)? as usize;
        let start = offset + ENVELOPE_BYTES;
        (len <= self.end - start).then_some(Span { start, len })
    }

    #[cold]
    fn check_plain(&self, handle: Handle, kind: BlockKind, span: Span) -> Result<()> {
        let (envelope, _) = self.check(handle.offset, kind)?;
        if envelope.codec != Codec::Plain || handle.ordinal >= self.blocks_count {
            return Err(self.contradicts(handle.offset));
        }
        debug_assert_eq!(envelope.len as usize, span.len);
        let (word, bit) = (handle.ordinal as usize / 64, 1 << (handle.ordinal % 64));
        self.verified[word].fetch_or(bit, Ordering::Relaxed);
        Ok(())
    }

    /// Finds the checksum of a block right, and returns what it is.
    pub(super) fn check(&self, offset: u64, kind: BlockKind) -> Result<(Envelope, Span)> {
        let (envelope, span) = self.intact(offset)?;
        if envelope.kind != kind {
            return Err(self.damaged(offset, "a block is of another kind than the index says"));
        }
        Ok((envelope, span))
    }

    /// Finds the checksum of a block of any kind right.
    pub(super) fn intact(&self, offset: u64) -> Result<(Envelope, Span)> {
        let Some(span) = self.span_at(offset) else {
            return Err(self.damaged(offset, "a block leaves the file"));
        };
        let envelope = self.region.read(span.start - ENVELOPE_BYTES, ENVELOPE_BYTES);
        if !Envelope::is_intact(self.seed, offset, envelope, self.mapped(span)) {
            return Err(self.damaged(offset, "the checksum of a block does not match"));
        }
        let envelope = Envelope::read(envelope)
            .ok_or_else(|| self.damaged(offset, "a block is of an unknown kind"))?;
        Ok((envelope, span))
    }

    /// The bytes of a block of entries.
    #[inline(always)]
    pub(super) fn data(&self, handle: Handle, reading: Reading) -> Result<Body> {
        if self.is_compressed {
            return self.data_packed(handle, reading);
        }
        Ok(Body::Mapped(self.span(handle, BlockKind::Data)?))
    }

    #[cold]
    fn data_packed(&self, handle: Handle, reading: Reading) -> Result<Body> {
        let Some(span) = self.span_at(handle.offset) else {
            return Err(self.damaged(handle.offset, "a block leaves the file"));
        };
        let envelope = self.region.read(span.start - ENVELOPE_BYTES, ENVELOPE_BYTES);
        // Which blocks did not shrink is believed here and found right in the next step.
        if Envelope::read(envelope).is_some_and(|envelope| envelope.codec == Codec::Plain) {
            return Ok(Body::Mapped(self.span(handle, BlockKind::Data)?));
        }
        if let Some(block) = self.cache.get(self.cache_id, handle.offset) {
            return Ok(Body::Unpacked(block));
        }
        let (envelope, span) = self.check(handle.offset, BlockKind::Data)?;
        let block = Arc::new(self.unpack(handle.offset, envelope, span)?);
        if reading == Reading::Usual {
            self.cache.put(self.cache_id, handle.offset, Arc::clone(&block));
        }
        Ok(Body::Unpacked(block))
    }

    /// What a block was before it was made smaller.
    pub(super) fn unpack(&self, offset: u64, envelope: Envelope, span: Span) -> Result<Vec<u8>> {
        let stored = self.mapped(span);
        if envelope.codec == Codec::Plain {
            return Ok(stored.to_vec());
        }
        let mut raw = Vec::new();
        match compress::unpack(envelope.codec, stored, &mut raw) {
            Ok(()) => Ok(raw),
            #[cfg(not(feature = "zstd"))]
            Err(Unpack::Unknown(codec)) => Err(Error::Codec { path: self.path.clone(), codec }),
            Err(Unpack::Damaged) => Err(self.damaged(offset, "a block cannot be decompressed")),
        }
    }

    /// A block that no handle counts, checked with each reading.
    pub(super) fn read_unnumbered(&self, offset: u64, kind: BlockKind) -> Result<Vec<u8>> {
        let (envelope, span) = self.check(offset, kind)?;
        self.unpack(offset, envelope, span)
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        if self.is_compressed {
            self.cache.dismiss(self.cache_id);
        }
    }
}
