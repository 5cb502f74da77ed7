//! Events as commands show them.

use crate::{
    category::{needs_kind, stream_name, uuid},
    failure::Result,
    output::{Form, Object, Out, compact_json},
    units,
};
use annals::{EventFormat, RecordedEvent, StreamId};
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::{borrow::Cow, collections::HashMap};

/// One event as an object, or as a line of its number, time, category, stream, version, type and data.
pub(super) fn write(out: &mut Out, event: &RecordedEvent<'_>) -> Result<()> {
    let is_json = event.format() == EventFormat::Json;
    let json = if is_json { compact_json(event.data()) } else { None };
    if out.form() == Form::Json {
        return out.object(|object| fill(object, event, json.as_deref()));
    }
    let (seq, time) = (event.seq().0, units::time(event.time_ms()));
    out.raw(format!("{seq}\t{time}\t").as_bytes())?;
    out.data(event.category().as_bytes())?;
    out.raw(b"\t")?;
    out.data(stream_name(&event.stream()).as_bytes())?;
    out.raw(format!("\t{}\t", event.version()).as_bytes())?;
    let event_type = event.event_type();
    out.data(event_type.name.as_bytes())?;
    if event_type.version != 1 {
        out.raw(format!(" v{}", event_type.version).as_bytes())?;
    }
    out.raw(b"\t")?;
    out.data(&json.map_or(Cow::Borrowed(event.data()), Cow::Owned))?;
    out.raw(b"\n")
}

fn fill(object: &mut Object<'_>, event: &RecordedEvent<'_>, json: Option<&[u8]>) {
    let event_type = event.event_type();
    object.value("category", event.category());
    stream(object, &event.stream());
    object
        .value("version", event.version())
        .value("seq", event.seq().0)
        .value("time", units::time(event.time_ms()))
        .value("type", &event_type.name)
        .value("type_version", event_type.version);
    match json {
        Some(json) => object.json("data", json),
        None => object.base64("data_base64", event.data()).value("format", format(event.format())),
    };
    // Who reads a copy is not misled by another layout, and one that was never told is not taken for forgotten.
    if event.format() == EventFormat::Archive {
        let layout = event_type.layout;
        object.value("layout", (layout != 0).then(|| format!("{layout:016x}")));
    }
    object
        .value("id", event.id().map(uuid))
        .value("correlation", event.correlation().map(uuid))
        .value("causation", event.causation().map(uuid))
        .value("metadata", Pairs::of(event.pairs()));
    // Only events of chained categories have one.
    if let Some(hash) = event.hash() {
        object.value("hash", hash.to_string());
    }
}

/// Pairs of texts by their names, in the order in which these came. Programs may give one name several texts; of an object
/// with a name twice most readers keep the last.
struct Pairs<'e>(Vec<(&'e str, Vec<&'e str>)>);

impl<'e> Pairs<'e> {
    fn of(pairs: impl Iterator<Item = (&'e str, &'e str)>) -> Self {
        let (mut named, mut places) = (Vec::<(_, Vec<_>)>::new(), HashMap::new());
        for (name, text) in pairs {
            let place = *places.entry(name).or_insert(named.len());
            match named.get_mut(place) {
                Some((_, texts)) => texts.push(text),
                None => named.push((name, vec![text])),
            }
        }
        Self(named)
    }
}

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (name, texts) in &self.0 {
            match &texts[..] {
                [text] => map.serialize_entry(name, text)?,
                texts => map.serialize_entry(name, texts)?,
            }
        }
        map.end()
    }
}

/// Up to here whatever reads JSON has each number as it is written.
const NUMBER_MAX: u64 = 1 << 53;

/// The field of a stream: numbers are numbers, unless they are so large that many readers would round them. A text
/// that reads like a number or a UUID is told apart by a field of its own.
pub(super) fn stream(object: &mut Object<'_>, id: &StreamId<'_>) {
    match id {
        StreamId::Number(number) if *number <= NUMBER_MAX => object.value("stream", number),
        other => object.value("stream", other.to_string()),
    };
    if needs_kind(id) {
        object.value("stream_kind", "text");
    }
}

/// The name of how data are to be read.
fn format(format: EventFormat) -> &'static str {
    match format {
        EventFormat::Json => "json",
        EventFormat::Archive => "archive",
        _ => "bytes",
    }
}

/// The format of this name.
pub(super) fn parse_format(name: &str) -> Option<EventFormat> {
    let all = [EventFormat::Json, EventFormat::Archive, EventFormat::Bytes];
    all.into_iter().find(|known| format(*known) == name)
}
