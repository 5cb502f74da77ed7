//! Between a value and its archive: what the derive of [`Event`](macro@crate::Event) is built of, and
//! what an implementation by hand may use.
//!
//! An archive is the value as rkyv lays it out: little-endian, aligned, relative pointers of 32 bits.
//! Those choices are pinned by features of rkyv that this crate turns on, so that no other crate of a
//! program can change what is stored; one that asks for others does not compile together with this one.
//!
//! Every archive is checked before it is lent: nothing here trusts bytes, whatever checksum covered
//! them. Where they were checked before, and that is known for sure, rkyv's own `access_unchecked` takes
//! the bytes; calling it is the caller's `unsafe` and the caller's argument:
//!
//! ```
//! use annals_events::{Event, EventBuf, rkyv};
//!
//! #[derive(Event)]
//! #[event(crate = annals_events)]
//! struct Paid {
//!     cents: u64,
//! }
//!
//! // The data of an event in the log lie as they do in a buffer: on a multiple of `ARCHIVE_ALIGN_BYTES`.
//! let mut data = EventBuf::new();
//! Paid { cents: 500 }.encode(&mut data)?;
//! // SAFETY: these bytes are the whole archive of a `Paid` of this build, and nobody has changed them since.
//! let paid = unsafe { rkyv::access_unchecked::<ArchivedPaid>(&data) };
//! assert_eq!(paid.cents, 500);
//! # Ok::<(), annals_events::Error>(())
//! ```

use crate::{ARCHIVE_ALIGN_BYTES, Error, Event, EventBuf, EventType, Result, Scratch};
use rkyv::{
    Archive, Deserialize, Portable, Serialize,
    api::{access_with_context, high},
    bytecheck::CheckBytes,
    de::Pool,
    rancor::{BoxedError, Failure, Source, Strategy},
    ser::allocator::ArenaHandle,
    util::AlignedVec,
    validation::{Validator, archive::ArchiveValidator},
};
use std::num::NonZeroUsize;

mod shared;
pub use shared::Shared;

/// How deep pointers may be nested in an archive: boxes in boxes, lists in lists. What is deeper is
/// refused when it is written; when it is read, so that no bytes can make the check recurse until the
/// stack is used up.
pub const NESTING_MAX: usize = 256;

/// A pointer takes at least this many bytes in an archive, so a shorter one cannot be nested too deep.
const DEEP_FROM_BYTES: usize = NESTING_MAX * 4;

/// What archives are written with.
pub type Archiver<'a> = high::HighSerializer<AlignedVec, ArenaHandle<'a>, BoxedError>;

/// What archives are checked with.
pub type Checker<'a, E> = Strategy<Validator<ArchiveValidator<'a>, Shared>, E>;

/// An archive that can be checked, which what the derive of [`Event`](macro@crate::Event) makes is. In two ways: the
/// first check tells only whether it is one, as all are that were not damaged, and carries nothing along to say why
/// not; what it refuses is checked once more, to be told of.
pub trait Checked:
    Portable + for<'c> CheckBytes<Checker<'c, Failure>> + for<'c> CheckBytes<Checker<'c, BoxedError>>
{
}

impl<A> Checked for A where
    A: Portable
        + for<'c> CheckBytes<Checker<'c, Failure>>
        + for<'c> CheckBytes<Checker<'c, BoxedError>>
{
}

/// What values are made of archives with.
pub type Unarchiver = high::HighDeserializer<BoxedError>;

/// Writes the archive of `value`, of the event type `ty`, over what is in `buffer`.
///
/// # Errors
/// [`Encode`](crate::ErrorKind::Encode): rkyv refuses it (an archive of 2 GiB or more), or pointers are
/// nested deeper than [`NESTING_MAX`]. The buffer is empty then.
///
/// ```
/// use annals_events::{EventBuf, EventType, Scratch, archive, rkyv};
///
/// static TICK: EventType = EventType::new::<rkyv::Archived<u64>>("tick", 1, "0: u64");
/// let (mut buffer, scratch) = (EventBuf::new(), Scratch::new());
/// archive::encode(&7u64, &TICK, &mut buffer)?;
/// let tick = archive::access::<rkyv::Archived<u64>>(&TICK, buffer.as_bytes(), &scratch)?;
/// assert_eq!(tick.to_native(), 7);
/// # Ok::<(), annals_events::Error>(())
/// ```
pub fn encode<T>(value: &T, ty: &'static EventType, buffer: &mut EventBuf) -> Result<()>
where
    T: Archive<Archived: Checked> + for<'a> Serialize<Archiver<'a>>,
{
    let mut bytes = std::mem::take(&mut buffer.bytes);
    bytes.clear();
    let arena = buffer.arena.get_or_insert_default();
    let written = high::to_bytes_in_with_alloc::<_, _, BoxedError>(value, bytes, arena.acquire());
    // Blocks that it grew by become one, which the next event uses again.
    arena.shrink();
    let bytes = written.map_err(|error| Error::encode(ty, &error))?;
    if bytes.len() >= DEEP_FROM_BYTES {
        check::<T::Archived, BoxedError>(&bytes).map_err(|error| {
            let why = format!(
                "it could not be read again, as when more than {NESTING_MAX} pointers lead on \
                from one another: {error}"
            );
            Error::encode(ty, &why)
        })?;
    }
    buffer.bytes = bytes;
    Ok(())
}

/// The archive in `bytes`, checked. It is lent in place; only if it holds parts that have to lie on a
/// multiple of 16, and `bytes` does not, it is copied to `scratch` first.
///
/// # Errors
/// [`Misaligned`](crate::ErrorKind::Misaligned): `bytes` does not begin on a multiple of
/// [`ARCHIVE_ALIGN_BYTES`]. [`Corrupt`](crate::ErrorKind::Corrupt): it is not an archive of an `A`, of
/// exactly this length.
///
/// ```
/// use annals_events::{ErrorKind, EventBuf, EventType, Scratch, archive, rkyv};
///
/// static TICK: EventType = EventType::new::<rkyv::Archived<u64>>("tick", 1, "0: u64");
/// let (short, scratch) = (EventBuf::copy_of(&[0; 7]), Scratch::new());
/// let error = archive::access::<rkyv::Archived<u64>>(&TICK, &short, &scratch).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Corrupt);
/// ```
#[inline(always)]
pub fn access<'a, A: Checked>(
    ty: &'static EventType,
    bytes: &'a [u8],
    scratch: &'a Scratch,
) -> Result<&'a A> {
    let over_bytes = bytes.as_ptr().addr() % ARCHIVE_ALIGN_BYTES;
    if over_bytes != 0 && !bytes.is_empty() {
        return Err(Error::misaligned(ty, over_bytes));
    }
    match check::<A, Failure>(bytes) {
        Ok(archived) => Ok(archived),
        Err(Failure) => access_copy(ty, bytes, scratch),
    }
}

/// The second try of [`access`]. Types of fields tell what the archive needs at its own place, not what
/// lies behind its pointers: a `Vec` of structs with a `u128` within gets past every check at compile
/// time. It must be read, or refused, wherever the log happens to place it.
#[cold]
fn access_copy<'a, A: Checked>(
    ty: &'static EventType,
    bytes: &'a [u8],
    scratch: &'a Scratch,
) -> Result<&'a A> {
    let corrupt = |error: BoxedError| Error::corrupt(ty, bytes, &error);
    if bytes.as_ptr().addr().is_multiple_of(AlignedVec::<16>::ALIGNMENT) {
        return check::<A, BoxedError>(bytes).map_err(corrupt);
    }
    let copy = EventBuf::copy_of(bytes);
    check::<A, BoxedError>(&copy).map_err(corrupt)?;
    check::<A, BoxedError>(scratch.keep(copy)).map_err(corrupt)
}

#[inline(always)]
fn check<A, E: Source>(bytes: &[u8]) -> Result<&A, E>
where
    A: Portable + for<'c> CheckBytes<Checker<'c, E>>,
{
    // The root is the last thing of an archive. Without this, a few bytes behind it would be ignored, and
    // all bytes before one that takes none.
    let fits = match size_of::<A>() {
        0 => bytes.is_empty(),
        root_bytes => bytes
            .len()
            .checked_sub(root_bytes)
            .is_some_and(|before| before.is_multiple_of(align_of::<A>())),
    };
    if !fits {
        return Err(E::new(WrongLength { root_bytes: size_of::<A>() }));
    }
    // It counts the root, and has to have one left.
    let depth = if bytes.len() < DEEP_FROM_BYTES { 0 } else { NESTING_MAX + 2 };
    let archive = ArchiveValidator::with_max_depth(bytes, NonZeroUsize::new(depth));
    access_with_context(bytes, &mut Validator::new(archive, Shared::default()))
}

#[derive(Debug, thiserror::Error)]
#[error("the length does not fit a root of {root_bytes} bytes")]
struct WrongLength {
    root_bytes: usize,
}

/// The value whose archive is in `bytes`. Costs the check and the value's own allocations.
///
/// # Errors
/// As [`access`]; and [`Corrupt`](crate::ErrorKind::Corrupt) if the checked archive cannot be made a `T`.
///
/// ```
/// use annals_events::{EventBuf, EventType, archive, rkyv};
///
/// static NAMED: EventType = EventType::new::<rkyv::Archived<String>>("named", 1, "0: String");
/// let mut buffer = EventBuf::new();
/// archive::encode(&String::from("Ada"), &NAMED, &mut buffer)?;
/// assert_eq!(archive::decode::<String>(&NAMED, &buffer)?, "Ada");
/// # Ok::<(), annals_events::Error>(())
/// ```
pub fn decode<T>(ty: &'static EventType, bytes: &[u8]) -> Result<T>
where
    T: Archive,
    T::Archived: Checked + Deserialize<T, Unarchiver>,
{
    decode_by(ty, bytes, |archived: &T::Archived, with| archived.deserialize(with))
}

/// As [`decode`], with a function that makes the value of the archive.
pub(crate) fn decode_by<T, A: Checked>(
    ty: &'static EventType,
    bytes: &[u8],
    make: impl FnOnce(&A, &mut Unarchiver) -> Result<T, BoxedError>,
) -> Result<T> {
    let (scratch, mut pool) = (Scratch::new(), Pool::new());
    let archived = access::<A>(ty, bytes, &scratch)?;
    make(archived, Strategy::wrap(&mut pool)).map_err(|error| Error::corrupt(ty, bytes, &error))
}

/// An event that is stored as an older type, read and made an `E`. `index` is that of
/// [`Old::READABLE`](Event::READABLE).
///
/// # Errors
/// As [`Event::decode`] of the older type; [`Upcast`](crate::ErrorKind::Upcast) if the conversion fails.
///
/// ```
/// use annals_events::{Event, EventBuf, archive};
///
/// #[derive(Event)]
/// #[event(name = "moved", version = 1, crate = annals_events)]
/// struct MovedV1(u32);
///
/// #[derive(Event)]
/// #[event(name = "moved", version = 2, from(MovedV1), crate = annals_events)]
/// struct Moved(u64);
///
/// impl From<MovedV1> for Moved {
///     fn from(old: MovedV1) -> Self {
///         Self(old.0.into())
///     }
/// }
///
/// let mut stored = EventBuf::new();
/// MovedV1(7).encode(&mut stored)?;
/// let moved: Moved = archive::upcast::<MovedV1, Moved>(0, &stored)?;
/// assert_eq!(moved.0, 7);
/// # Ok::<(), annals_events::Error>(())
/// ```
pub fn upcast<Old, E>(index: usize, bytes: &[u8]) -> Result<E>
where
    Old: Event,
    E: Event + TryFrom<Old, Error: std::fmt::Display>,
{
    let old = Old::decode_readable(index, bytes)?;
    E::try_from(old)
        .map_err(|error| Error::upcast(&Old::READABLE[index], std::any::type_name::<E>(), &error))
}
