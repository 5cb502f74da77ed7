//! What stored events are told apart by: a name, a version, and a fingerprint of their layout.

use std::fmt;

/// The longest name of an event type, in bytes.
pub const TYPE_NAME_BYTES_MAX: usize = 255;

/// What kind of thing happened, as it is written with each event: a name, a version of its layout, and
/// what that layout is. Made by the derive of [`Event`](macro@crate::Event), at compile time.
///
/// ```
/// use annals_events::Event;
///
/// #[derive(Event)]
/// #[event(name = "order-placed", version = 2, crate = annals_events)]
/// struct OrderPlaced {
///     item: String,
///     quantity: u32,
/// }
///
/// let ty = &OrderPlaced::TYPES[0];
/// assert_eq!((ty.name(), ty.version()), ("order-placed", 2));
/// assert_eq!(ty.schema(), "item: String, quantity: u32");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventType {
    name: &'static str,
    version: u32,
    schema: &'static str,
    fingerprint: Fingerprint,
}

impl EventType {
    /// An event type whose archive is an `A`. `schema` is the text that the fingerprint is taken of:
    /// names and types of the fields, as written.
    ///
    /// # Panics
    /// At compile time, where this is called from a constant: the name is empty, longer than
    /// [`TYPE_NAME_BYTES_MAX`] or has control characters; the version is 0; or `A` has to lie on a
    /// multiple of more than [`ARCHIVE_ALIGN_BYTES`](crate::ARCHIVE_ALIGN_BYTES) bytes.
    ///
    /// ```
    /// use annals_events::{EventType, rkyv};
    /// const TICK: EventType = EventType::new::<rkyv::Archived<u64>>("tick", 1, "0: u64");
    /// assert_eq!(TICK.name(), "tick");
    /// ```
    #[must_use]
    pub const fn new<A>(name: &'static str, version: u32, schema: &'static str) -> Self {
        assert!(!name.is_empty(), "an event type needs a name");
        assert!(
            name.len() <= TYPE_NAME_BYTES_MAX,
            "the name of an event type has at most 255 bytes"
        );
        let (bytes, mut index) = (name.as_bytes(), 0);
        while index < bytes.len() {
            assert!(
                bytes[index] >= b' ' && bytes[index] != 0x7f,
                "the name of an event type has no control characters"
            );
            index += 1;
        }
        assert!(version > 0, "versions of event types begin at 1");
        crate::derived::assert_aligned::<A>();
        let fingerprint = Fingerprint::of(name, version, schema, size_of::<A>(), align_of::<A>());
        Self { name, version, schema, fingerprint }
    }

    /// Its name, as stored.
    ///
    /// ```
    /// # use annals_events::Event;
    /// # #[derive(Event)]
    /// # #[event(crate = annals_events)]
    /// # struct Opened { at: u64 }
    /// assert_eq!(Opened::TYPES[0].name(), "Opened");
    /// ```
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The version of its layout, from 1 on.
    ///
    /// ```
    /// # use annals_events::Event;
    /// # #[derive(Event)]
    /// # #[event(crate = annals_events)]
    /// # struct Opened { at: u64 }
    /// assert_eq!(Opened::TYPES[0].version(), 1);
    /// ```
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Names and types of its fields, as written: for people who compare two layouts.
    ///
    /// ```
    /// # use annals_events::Event;
    /// # #[derive(Event)]
    /// # #[event(crate = annals_events)]
    /// # struct Opened { at: u64 }
    /// assert_eq!(Opened::TYPES[0].schema(), "at: u64");
    /// ```
    #[must_use]
    pub const fn schema(&self) -> &'static str {
        self.schema
    }

    /// What tells two layouts of the same name and version apart.
    ///
    /// ```
    /// # use annals_events::Event;
    /// # #[derive(Event)]
    /// # #[event(crate = annals_events)]
    /// # struct Opened { at: u64 }
    /// let ty = &Opened::TYPES[0];
    /// assert_eq!(ty.fingerprint(), Opened::READABLE[0].fingerprint());
    /// ```
    #[must_use]
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// Tells layouts apart: of the name and version of an event type, the names and types of its fields as
/// written, and size and alignment of its archive. Two builds that write an event type with different
/// fingerprints must not write to the same stream.
///
/// It sees the types of fields by their names only. A type that changes within, keeps its name and does
/// not change the size of the archive is not noticed; give the event type a new version when such a type
/// changes.
///
/// ```
/// use annals_events::{Event, Fingerprint};
///
/// mod before {
///     #[derive(annals_events::Event)]
///     #[event(name = "paid", crate = annals_events)]
///     pub struct Paid { pub cents: u32 }
/// }
/// mod now {
///     #[derive(annals_events::Event)]
///     #[event(name = "paid", crate = annals_events)]
///     pub struct Paid { pub cents: i32 }
/// }
/// let (was, is) = (before::Paid::TYPES[0].fingerprint(), now::Paid::TYPES[0].fingerprint());
/// assert_ne!(was, is);
/// assert_eq!(Fingerprint::from_u64(was.as_u64()), was);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// FNV-1a over the parts, with lengths between them, so that no two lists of parts run together.
    const fn of(name: &str, version: u32, schema: &str, size: usize, align: usize) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325;
        hash = fnv(hash, &(name.len() as u64).to_le_bytes());
        hash = fnv(hash, name.as_bytes());
        hash = fnv(hash, &version.to_le_bytes());
        hash = fnv(hash, &(schema.len() as u64).to_le_bytes());
        hash = fnv(hash, schema.as_bytes());
        hash = fnv(hash, &(size as u64).to_le_bytes());
        hash = fnv(hash, &(align as u64).to_le_bytes());
        // 0 stands for no layout where fingerprints are stored.
        Self(if hash == 0 { 1 } else { hash })
    }

    /// The number that is stored; that of an event type is not 0.
    ///
    /// ```
    /// assert_eq!(annals_events::Fingerprint::from_u64(7).as_u64(), 7);
    /// ```
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// A fingerprint that was stored.
    ///
    /// ```
    /// assert_eq!(annals_events::Fingerprint::from_u64(7).to_string(), "0000000000000007");
    /// ```
    #[must_use]
    pub const fn from_u64(stored: u64) -> Self {
        Self(stored)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

const fn fnv(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x100_0000_01b3);
        index += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use rkyv::Archived;

    #[test]
    fn every_part_of_a_layout_is_in_its_fingerprint() {
        let this = EventType::new::<Archived<u32>>("a", 1, "b: u32").fingerprint();
        for other in [
            EventType::new::<Archived<u32>>("b", 1, "b: u32"),
            EventType::new::<Archived<u32>>("a", 2, "b: u32"),
            EventType::new::<Archived<u32>>("a", 1, "c: u32"),
            EventType::new::<Archived<u64>>("a", 1, "b: u32"),
            EventType::new::<Archived<[u8; 4]>>("a", 1, "b: u32"),
        ] {
            assert_ne!(other.fingerprint(), this, "{other:?}");
        }
        assert_eq!(EventType::new::<Archived<u32>>("a", 1, "b: u32").fingerprint(), this);
    }

    #[test]
    fn fingerprints_stay_what_they_were_when_they_were_stored() {
        let ty = EventType::new::<Archived<u64>>("order-placed", 1, "quantity: u64");
        assert_eq!(ty.fingerprint().to_string(), "3fa5d5f214ba5859");
    }

    #[test]
    #[should_panic(expected = "needs a name")]
    fn a_type_without_name_is_refused() {
        let _ = EventType::new::<u8>("", 1, "");
    }

    #[test]
    #[should_panic(expected = "begin at 1")]
    fn version_zero_is_refused() {
        let _ = EventType::new::<u8>("a", 0, "");
    }

    #[test]
    #[should_panic(expected = "control characters")]
    fn a_name_with_a_line_break_is_refused() {
        let _ = EventType::new::<u8>("a\nb", 1, "");
    }

    #[test]
    #[should_panic(expected = "more than 8 bytes")]
    fn what_has_to_lie_on_sixteen_bytes_is_refused() {
        let _ = EventType::new::<Archived<u128>>("a", 1, "");
    }
}
