//! What can go wrong between an event and its bytes: a kind that says what to do, and a message that
//! says what, where and the remedy.

use crate::EventType;
use std::fmt::Write as _;

/// The result of writing or reading an event.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of an event or its bytes. The message may change; [`kind`](Self::kind) says what to do and
/// is what programs should look at. As large as a pointer, so that reading in place costs nothing for it.
///
/// The bytes are the caller's all the while: what cannot be read as an event can still be had as bytes.
///
/// ```
/// use annals_events::{ErrorKind, Event};
///
/// #[derive(Event)]
/// #[event(name = "order-placed", crate = annals_events)]
/// struct OrderPlaced {
///     quantity: u32,
/// }
///
/// let error = OrderPlaced::find("order-placed", 7).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NewerVersion);
/// assert_eq!(error.event_type(), Some(("order-placed", 7)));
/// assert!(error.to_string().starts_with("`order-placed` has version 7"));
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Fault>);

/// What an [`Error`] asks for.
///
/// ```
/// use annals_events::{ErrorKind, EventFormat};
/// assert_eq!(EventFormat::from_code(250).unwrap_err().kind(), ErrorKind::UnknownFormat);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No event type of this name is declared: read it as bytes, or declare it.
    UnknownType,
    /// A later build wrote it: read it with that one, or as bytes.
    NewerVersion,
    /// An older version that nothing leads from to the present one: declare how, or read it as bytes.
    UnknownVersion,
    /// The bytes do not begin on a multiple of [`ARCHIVE_ALIGN_BYTES`](crate::ARCHIVE_ALIGN_BYTES): copy
    /// them with [`EventBuf::copy_of`](crate::EventBuf::copy_of).
    Misaligned,
    /// The bytes are not an archive of the event type: damaged, foreign, or of another layout.
    Corrupt,
    /// The event cannot be written as an archive.
    Encode,
    /// The program's own conversion from an older version refused.
    Upcast,
    /// A stored event is in a form that this build does not know.
    UnknownFormat,
}

#[derive(Clone, Debug, thiserror::Error)]
enum Fault {
    #[error(
        "`{event}` has no event type `{name}` (version {version}); this build knows {known}: declare it, \
         or read it as bytes"
    )]
    UnknownType { event: &'static str, name: String, version: u32, known: String },

    #[error(
        "`{name}` has version {version} here, newer than what this build knows ({known}): read it with \
         the build that wrote it, or as bytes"
    )]
    NewerVersion { name: String, version: u32, known: String },

    #[error(
        "version {version} of `{name}` is none that this build knows ({known}): declare the type that it \
         had and where it leads (`from(..)`), or read it as bytes"
    )]
    UnknownVersion { name: String, version: u32, known: String },

    #[error(
        "the bytes of `{}` version {} begin {over_bytes} bytes after a multiple of {}: copy them with \
         `EventBuf::copy_of`", ty.name(), ty.version(), crate::ARCHIVE_ALIGN_BYTES
    )]
    Misaligned { ty: &'static EventType, over_bytes: usize },

    #[error(
        "these {len_bytes} bytes are not an archive of `{}` version {} ({why}): they are damaged, or were \
         written with another layout under the same name and version", ty.name(), ty.version()
    )]
    Corrupt { ty: &'static EventType, len_bytes: usize, why: String },

    #[error("an event `{}` version {} cannot be archived: {why}", ty.name(), ty.version())]
    Encode { ty: &'static EventType, why: String },

    #[error("version {} of `{}` could not be made a `{to}`: {why}", ty.version(), ty.name())]
    Upcast { ty: &'static EventType, to: &'static str, why: String },

    #[error(
        "a stored event has the format {code}, which this build does not know: read it with the \
             build that wrote it"
    )]
    UnknownFormat { code: u8 },
}

impl Error {
    /// What to do about it.
    ///
    /// ```
    /// use annals_events::{ErrorKind, Event, EventBuf, Scratch};
    /// # #[derive(Event)]
    /// # #[event(crate = annals_events)]
    /// # struct Opened { at: u64 }
    /// let foreign = EventBuf::copy_of(b"no archive");
    /// let scratch = Scratch::new();
    /// let error = Opened::view("Opened", 1, foreign.as_bytes(), &scratch).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Corrupt);
    /// ```
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Fault::UnknownType { .. } => ErrorKind::UnknownType,
            Fault::NewerVersion { .. } => ErrorKind::NewerVersion,
            Fault::UnknownVersion { .. } => ErrorKind::UnknownVersion,
            Fault::Misaligned { .. } => ErrorKind::Misaligned,
            Fault::Corrupt { .. } => ErrorKind::Corrupt,
            Fault::Encode { .. } => ErrorKind::Encode,
            Fault::Upcast { .. } => ErrorKind::Upcast,
            Fault::UnknownFormat { .. } => ErrorKind::UnknownFormat,
        }
    }

    /// The name and version of the event type that the error is about, as stored. `None` for
    /// [`ErrorKind::UnknownFormat`].
    ///
    /// ```
    /// # use annals_events::Event;
    /// # #[derive(Event)]
    /// # #[event(crate = annals_events)]
    /// # struct Opened { at: u64 }
    /// let error = Opened::find("Closed", 3).unwrap_err();
    /// assert_eq!(error.event_type(), Some(("Closed", 3)));
    /// ```
    #[must_use]
    pub fn event_type(&self) -> Option<(&str, u32)> {
        match &*self.0 {
            Fault::UnknownType { name, version, .. }
            | Fault::NewerVersion { name, version, .. }
            | Fault::UnknownVersion { name, version, .. } => Some((name, *version)),
            Fault::Misaligned { ty, .. }
            | Fault::Corrupt { ty, .. }
            | Fault::Encode { ty, .. }
            | Fault::Upcast { ty, .. } => Some((ty.name(), ty.version())),
            Fault::UnknownFormat { .. } => None,
        }
    }

    /// `readable` has no `name` of this `version`: which of the three reasons it is.
    #[cold]
    pub(crate) fn not_readable(
        event: &'static str,
        readable: &[EventType],
        name: &str,
        version: u32,
    ) -> Self {
        let name = name.to_owned();
        let versions = || readable.iter().filter(|ty| ty.name() == name).map(EventType::version);
        let Some(newest) = versions().max() else {
            let mut known = String::new();
            for (index, ty) in readable.iter().enumerate() {
                let comma = if index == 0 { "" } else { ", " };
                // Writing into a string cannot fail.
                let _ = write!(known, "{comma}`{}` {}", ty.name(), ty.version());
            }
            return Fault::UnknownType { event, name, version, known }.into();
        };
        let mut sorted: Vec<u32> = versions().collect();
        sorted.sort_unstable();
        let known = sorted.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        if version > newest {
            Fault::NewerVersion { name, version, known }.into()
        } else {
            Fault::UnknownVersion { name, version, known }.into()
        }
    }

    #[cold]
    pub(crate) fn misaligned(ty: &'static EventType, over_bytes: usize) -> Self {
        Fault::Misaligned { ty, over_bytes }.into()
    }

    #[cold]
    pub(crate) fn corrupt(
        ty: &'static EventType,
        bytes: &[u8],
        why: &impl std::fmt::Display,
    ) -> Self {
        Fault::Corrupt { ty, len_bytes: bytes.len(), why: one_line(why) }.into()
    }

    #[cold]
    pub(crate) fn encode(ty: &'static EventType, why: &impl std::fmt::Display) -> Self {
        Fault::Encode { ty, why: one_line(why) }.into()
    }

    #[cold]
    pub(crate) fn upcast(
        ty: &'static EventType,
        to: &'static str,
        why: &impl std::fmt::Display,
    ) -> Self {
        Fault::Upcast { ty, to, why: one_line(why) }.into()
    }

    #[cold]
    pub(crate) fn unknown_format(code: u8) -> Self {
        Fault::UnknownFormat { code }.into()
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self(Box::new(fault))
    }
}

/// Reasons from below come in several lines; an error here is one.
fn one_line(why: &impl std::fmt::Display) -> String {
    let text = why.to_string();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}
