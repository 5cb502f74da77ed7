//! In which form the bytes of a stored event are.

use crate::{Error, Result};
use std::fmt;

/// In which form the bytes of a stored event are. Events of all forms may be in one stream: what a
/// program wrote as a typed event and what a person wrote as JSON lie side by side.
///
/// ```
/// use annals_events::EventFormat;
/// assert_eq!(EventFormat::from_code(EventFormat::Json.code())?, EventFormat::Json);
/// assert_eq!(EventFormat::Archive.to_string(), "archive");
/// # Ok::<(), annals_events::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventFormat {
    /// Bytes that only the program knows how to read.
    Bytes,
    /// The archive of an [`Event`](crate::Event), read in place.
    Archive,
    /// A JSON text in UTF-8.
    Json,
}

impl EventFormat {
    /// The number that stands for it on disk; never given to another.
    ///
    /// ```
    /// assert_eq!(annals_events::EventFormat::Archive.code(), 1);
    /// ```
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Bytes => 0,
            Self::Archive => 1,
            Self::Json => 2,
        }
    }

    /// The form that a number from disk stands for.
    ///
    /// # Errors
    /// [`UnknownFormat`](crate::ErrorKind::UnknownFormat): a later build wrote it.
    ///
    /// ```
    /// use annals_events::EventFormat;
    /// assert_eq!(EventFormat::from_code(0)?, EventFormat::Bytes);
    /// assert!(EventFormat::from_code(99).is_err());
    /// # Ok::<(), annals_events::Error>(())
    /// ```
    pub fn from_code(code: u8) -> Result<Self> {
        match code {
            0 => Ok(Self::Bytes),
            1 => Ok(Self::Archive),
            2 => Ok(Self::Json),
            _ => Err(Error::unknown_format(code)),
        }
    }
}

impl fmt::Display for EventFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Archive => "archive",
            Self::Json => "json",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_lead_back_to_their_format_and_no_others_do() {
        for code in 0..=u8::MAX {
            match EventFormat::from_code(code) {
                Ok(format) => assert_eq!(format.code(), code),
                Err(error) => {
                    assert!(code > 2, "{error}");
                    assert_eq!(error.event_type(), None);
                }
            }
        }
    }
}
