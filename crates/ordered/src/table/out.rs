//! The file of a table that is being written.

use super::{
    TableIdentity,
    envelope::{BlockKind, Envelope},
    handle::{Handle, OFFSET_MAX},
    header,
};
use crate::{
    Compression, Error, Result,
    compress::{self, Codec},
};
use annals_disk::{Disk, DiskError, File, Operation};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Bytes that are collected before they are given to the file: a large page of memory, at a place that is
/// a multiple of it. A kernel that keeps files in large pages then makes one of it, and readers, who look
/// into the mapped file in no order, find their way to a place with one step and not four.
const BUFFER_BYTES: usize = 2 << 20;
/// Where the system gives no memory for that many, fewer are collected, and so many at least.
const BUFFER_BYTES_MIN: usize = 16 << 10;

/// Room for what is collected, and how much: less where there is little memory, none where there is hardly any.
fn buffer() -> Option<(Vec<u8>, usize)> {
    let mut bytes = BUFFER_BYTES;
    while bytes >= BUFFER_BYTES_MIN {
        let mut buffer = Vec::new();
        if buffer.try_reserve_exact(bytes).is_ok() {
            return Some((buffer, bytes));
        }
        bytes /= 2;
    }
    None
}

/// A file that takes blocks, one behind the other.
#[derive(Debug)]
pub(super) struct Out {
    file: Box<dyn File>,
    path: PathBuf,
    seed: u32,
    buffer: Vec<u8>,
    /// How many are collected there.
    buffer_bytes: usize,
    /// Bytes that were given to the file.
    given_bytes: u64,
    blocks_count: u32,
    packed: Vec<u8>,
}

impl Out {
    /// Creates the file and begins it with the header of a table.
    pub(super) fn create(disk: &dyn Disk, path: &Path, identity: TableIdentity) -> Result<Self> {
        let (mut buffer, buffer_bytes) = buffer().ok_or_else(|| {
            let reason = io::Error::from(io::ErrorKind::OutOfMemory);
            DiskError::new(Operation::Create, path, reason)
        })?;
        let file = disk.create(path)?;
        buffer.extend_from_slice(&header::encode(identity));
        Ok(Self {
            file,
            path: path.to_owned(),
            seed: identity.seed(),
            buffer,
            buffer_bytes,
            given_bytes: 0,
            blocks_count: 0,
            packed: Vec::new(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The length of the file so far, in bytes.
    pub(super) fn end(&self) -> u64 {
        self.given_bytes + self.buffer.len() as u64
    }

    /// Blocks so far.
    pub(super) fn blocks_count(&self) -> u32 {
        self.blocks_count
    }

    /// Writes a block, made smaller if that pays.
    pub(super) fn pack(
        &mut self,
        kind: BlockKind,
        compression: Compression,
        body: &[u8],
    ) -> Result<Handle> {
        let mut packed = std::mem::take(&mut self.packed);
        packed.clear();
        let codec = compress::pack(compression, body, &mut packed);
        let body = if codec == Codec::Plain { body } else { &packed };
        let written = self.put_block(kind, codec, body);
        if packed.capacity() <= BUFFER_BYTES {
            self.packed = packed;
        }
        written
    }

    /// Writes a block as it is.
    pub(super) fn write(&mut self, kind: BlockKind, body: &[u8]) -> Result<Handle> {
        self.put_block(kind, Codec::Plain, body)
    }

    fn put_block(&mut self, kind: BlockKind, codec: Codec, body: &[u8]) -> Result<Handle> {
        let handle = Handle { offset: self.end(), ordinal: self.blocks_count };
        let len = u32::try_from(body.len()).map_err(|_| self.too_large())?;
        self.blocks_count = self.blocks_count.checked_add(1).ok_or_else(|| self.too_large())?;
        if handle.offset >= OFFSET_MAX {
            return Err(self.too_large());
        }
        let envelope = Envelope { kind, codec, len }.seal(self.seed, handle.offset, body);
        self.put(&envelope)?;
        self.put(body)?;
        Ok(handle)
    }

    #[cold]
    fn too_large(&self) -> Error {
        let reason = io::Error::new(io::ErrorKind::FileTooLarge, "a table cannot be so large");
        DiskError::new(Operation::Write, &self.path, reason).into()
    }

    fn put(&mut self, mut bytes: &[u8]) -> Result<()> {
        while let Some((first, rest)) =
            bytes.split_at_checked(self.buffer_bytes - self.buffer.len())
        {
            self.buffer.extend_from_slice(first);
            self.flush()?;
            bytes = rest;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if !self.buffer.is_empty() {
            self.file.append(&self.buffer)?;
            self.given_bytes += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Writes the last bytes and syncs the file.
    pub(super) fn finish(&mut self, footer: &[u8]) -> Result<()> {
        self.put(footer)?;
        self.flush()?;
        Ok(self.file.sync()?)
    }
}
