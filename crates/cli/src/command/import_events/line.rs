//! A line of `annals import-events`.

use crate::{
    category::{parse_expected, stream_id},
    command::event::parse_format,
    failure::{Failure, Result},
    lines::BYTE_ORDER_MARK,
};
use annals::{EventFormat, ExpectedVersion, NewEvent, StreamId};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::HashSet, fmt};

/// An event as it is written on a line. What it must not have is told: a field that is misspelt would be
/// missed for ever.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventLine<'a> {
    pub(super) category: String,
    stream: Id,
    stream_kind: Option<StreamKind>,
    #[serde(rename = "type")]
    type_name: String,
    #[serde(default, borrow, deserialize_with = "raw")]
    data: Option<&'a RawValue>,
    data_base64: Option<String>,
    format: Option<String>,
    /// `Some(None)` if it is said that it was never told.
    #[serde(default, deserialize_with = "told_or_null")]
    layout: Option<Option<Layout>>,
    type_version: Option<u32>,
    expected_version: Option<Id>,
    id: Option<Uuid>,
    correlation: Option<Uuid>,
    causation: Option<Uuid>,
    #[serde(default, deserialize_with = "texts_by_name")]
    metadata: Vec<(String, String)>,
    #[serde(rename = "time")]
    _time: Option<IgnoredAny>,
    #[serde(rename = "seq")]
    _seq: Option<IgnoredAny>,
    #[serde(rename = "version")]
    _version: Option<IgnoredAny>,
    /// That of where it came from: here the event follows others.
    #[serde(rename = "hash")]
    _hash: Option<IgnoredAny>,
}

/// A number or a text.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a number from 0 to 2^64 - 1 or a text")]
enum Id {
    Number(u64),
    Text(String),
}

/// How the name of a stream is to be taken.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StreamKind {
    Number,
    Uuid,
    Text,
}

/// A UUID.
#[derive(Clone, Copy)]
struct Uuid(u128);

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        StreamId::parse_uuid(&text).map(Self).ok_or_else(|| {
            serde::de::Error::custom(format_args!("`{text:.64}` is no UUID; ids are UUIDs"))
        })
    }
}

/// What tells the layouts of archives apart.
#[derive(Clone, Copy)]
struct Layout(u64);

impl<'de> Deserialize<'de> for Layout {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let is_one = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let layout = u64::from_str_radix(&text, 16).ok().filter(|_| is_one);
        layout.map(Self).ok_or_else(|| {
            serde::de::Error::custom(format_args!("`{text:.64}` is no layout: 16 hex digits"))
        })
    }
}

/// What is said, also that there is none.
fn told_or_null<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<Layout>>, D::Error> {
    Option::<Layout>::deserialize(from).map(Some)
}

/// The text of a name, or all of them.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a text or an array of texts")]
enum Texts {
    One(String),
    Several(Vec<String>),
}

/// Pairs of texts by their names, each of which is there once: of an object that has a name twice most readers keep the
/// last, so it could not be told what is meant.
fn texts_by_name<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, String)>, D::Error> {
    struct Pairs;
    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(String, String)>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("an object of texts and arrays of texts")
        }

        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let (mut names, mut pairs) = (HashSet::new(), Vec::new());
            while let Some((name, texts)) = map.next_entry::<String, Texts>()? {
                if !names.insert(name.clone()) {
                    let why = format_args!(
                        "`{name:.64}` is there twice; say each name once, several texts in an array"
                    );
                    return Err(serde::de::Error::custom(why));
                }
                match texts {
                    Texts::One(text) => pairs.push((name, text)),
                    Texts::Several(texts) if texts.is_empty() => {
                        let why = format_args!("`{name:.64}` has no text; leave the name out");
                        return Err(serde::de::Error::custom(why));
                    }
                    Texts::Several(texts) => {
                        pairs.extend(texts.into_iter().map(|text| (name.clone(), text)));
                    }
                }
            }
            Ok(pairs)
        }
    }
    from.deserialize_any(Pairs)
}

/// The field of an object whose value has a byte of its line, counted from 1, or ends in front of it.
fn field_at(line: &[u8], at: usize) -> Option<String> {
    struct Fields<'l>(&'l [u8], usize);
    impl<'de> Visitor<'de> for Fields<'_> {
        type Value = Option<String>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = None;
            while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                let from = value.get().as_ptr().addr() - self.0.as_ptr().addr();
                // What ends a number is looked at before the number is.
                let bytes = from + 1..=from + value.get().len() + 1;
                if found.is_none() && bytes.contains(&self.1) {
                    found = Some(name);
                }
            }
            Ok(found)
        }
    }
    let mut reader = serde_json::Deserializer::from_slice(line);
    reader.deserialize_map(Fields(line, at)).ok().flatten()
}

/// What is there, `null` as well: that is JSON like any other.
fn raw<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// The data of an event.
pub(super) struct Data<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    format: EventFormat,
}

impl<'a> EventLine<'a> {
    /// Reads a line.
    pub(super) fn read(line: &'a [u8]) -> Result<Self> {
        // Its fields one after the other in an array would be taken as well.
        if line.trim_ascii_start().first() != Some(&b'{') {
            // Files were put together that each began with one, and nobody sees it.
            if line.starts_with(BYTE_ORDER_MARK) {
                let text =
                    "no event: it begins with a byte order mark, which only the first line may";
                return Err(Failure::usage(text));
            }
            return Err(Failure::usage("no event: a line is one JSON object"));
        }
        let read = serde_json::from_slice::<Self>(line).map_err(|error| {
            let (text, at) = (error.to_string(), error.column());
            // There is one line, and the caller knows which.
            let text = text.strip_suffix(&format!(" at line 1 column {at}")).unwrap_or(&text);
            // What is missing shows at the end only: the field there is not at fault.
            let is_missing = text.starts_with("missing field");
            let at = if is_missing { 0 } else { at };
            let field = field_at(line, at).map(|name| format!("the field `{name:.64}`: "));
            let at = if at > 0 { format!(", at byte {at}") } else { String::new() };
            Failure::usage(format!("no event: {}{text}{at}", field.unwrap_or_default()))
        })?;
        read.check_stream()?;
        read.data().map(drop)?;
        read.expected().map(drop)?;
        Ok(read)
    }

    pub(super) fn stream(&self) -> StreamId<'static> {
        match (&self.stream, self.stream_kind) {
            (Id::Number(number), _) => StreamId::Number(*number),
            (Id::Text(text), Some(StreamKind::Text)) => StreamId::from(text.clone()),
            (Id::Text(text), _) => stream_id(text),
        }
    }

    /// Whether the stream is of the kind that is said.
    fn check_stream(&self) -> Result<()> {
        let Some(kind) = self.stream_kind else { return Ok(()) };
        match (kind, self.stream()) {
            (StreamKind::Number, StreamId::Number(_))
            | (StreamKind::Uuid, StreamId::Uuid(_))
            | (StreamKind::Text, StreamId::Text(_)) => Ok(()),
            (kind, id) => Err(Failure::usage(format!(
                "no event: the stream `{:.64}` is not of the kind that `stream_kind` says: {}",
                id.to_string(),
                match kind {
                    StreamKind::Number => "a number from 0 to 2^64 - 1",
                    StreamKind::Uuid => "a UUID",
                    StreamKind::Text => "a text, in quotes",
                }
            ))),
        }
    }

    pub(super) fn id(&self) -> Option<u128> {
        self.id.map(|Uuid(id)| id)
    }

    pub(super) fn expected(&self) -> Result<ExpectedVersion> {
        match &self.expected_version {
            None => Ok(ExpectedVersion::Any),
            Some(Id::Number(version)) => Ok(ExpectedVersion::Exact(*version)),
            Some(Id::Text(text)) => parse_expected(text)
                .map_err(|error| Failure::usage(format!("no event: expected_version: {error}"))),
        }
    }

    /// The data: JSON, or bytes in base64.
    pub(super) fn data(&self) -> Result<Data<'a>> {
        let format = match self.format.as_deref().map(|name| (name, parse_format(name))) {
            Some((name, None)) => {
                let known = "json, bytes and archive are";
                return Err(Failure::usage(format!(
                    "no event: `{name:.64}` is no format; {known}"
                )));
            }
            Some((_, format)) => format,
            None => None,
        };
        match (self.layout, format) {
            // Whose archive it is nobody could tell, and who reads it as a type would have to trust that it is one.
            (None, Some(EventFormat::Archive)) => {
                return Err(Failure::usage(
                    "no event: data in the format archive have a layout: copy the field `layout` from where the event \
                     is, as `annals log --json` prints it there (16 hex digits, or null if it was never told)",
                ));
            }
            (Some(Some(_)), format) if format != Some(EventFormat::Archive) => {
                return Err(Failure::usage(
                    "no event: only data in the format archive have a layout",
                ));
            }
            _ => {}
        }
        match (self.data, &self.data_base64) {
            (Some(_), None) if format.is_some_and(|format| format != EventFormat::Json) => Err(
                Failure::usage("no event: data in a format other than json go into data_base64"),
            ),
            (Some(json), None) => {
                Ok(Data { bytes: Cow::Borrowed(json.get().as_bytes()), format: EventFormat::Json })
            }
            (None, Some(base64)) => {
                let bytes = STANDARD
                    .decode(base64)
                    .map_err(|error| Failure::usage(format!("no event: data_base64: {error}")))?;
                Ok(Data { bytes: Cow::Owned(bytes), format: format.unwrap_or(EventFormat::Bytes) })
            }
            _ => Err(Failure::usage("no event: it must have either data or data_base64")),
        }
    }

    /// The event, with these data.
    pub(super) fn event<'e>(&'e self, data: &'e Data<'_>) -> NewEvent<'e> {
        let mut event = NewEvent::new(&self.type_name, data.format, &data.bytes);
        if let Some(version) = self.type_version {
            event = event.version(version);
        }
        if let Some(Some(Layout(layout))) = self.layout {
            event = event.layout(layout);
        }
        if let Some(Uuid(id)) = self.id {
            event = event.id(id);
        }
        if let Some(Uuid(id)) = self.correlation {
            event = event.correlation(id);
        }
        if let Some(Uuid(id)) = self.causation {
            event = event.causation(id);
        }
        for (name, value) in &self.metadata {
            event = event.with(name, value);
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(rest: &str) -> String {
        format!(r#"{{"category":"c","stream":7,"type":"t"{rest}}}"#)
    }

    fn refusal(line: &str) -> String {
        let failure = EventLine::read(line.as_bytes()).err().expect("no event");
        assert_eq!(failure.code(), 2);
        failure.to_string()
    }

    #[test]
    fn data_stay_as_they_are_written() {
        for json in ["null", "1.50e+900", r#"{"b":1,  "a":"\u00e9"}"#, "[]"] {
            let line = line(&format!(r#","data":{json}"#));
            let data = EventLine::read(line.as_bytes()).unwrap().data().unwrap();
            assert_eq!((&*data.bytes, data.format), (json.as_bytes(), EventFormat::Json));
        }
        let line = line(r#","data_base64":"/wA=","format":"archive","layout":null"#);
        let data = EventLine::read(line.as_bytes()).unwrap().data().unwrap();
        assert_eq!((&*data.bytes, data.format), (&b"\xff\0"[..], EventFormat::Archive));
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (rest, told) in [
            ("", "either data or data_base64"),
            (r#","data":1,"data_base64":"""#, "either data or data_base64"),
            (r#","data_base64":"?""#, "data_base64"),
            (r#","data_base64":"","format":"text""#, "`text` is no format"),
            (r#","data":1,"format":"bytes""#, "go into data_base64"),
            (r#","data":1,"expectedVersion":0"#, "unknown field `expectedVersion`"),
            (r#","data":1,"expected_version":"first""#, "any, none or exists"),
            (r#","data":1,"expected_version":-1"#, "the field `expected_version`: a number from 0"),
            (r#","data":1,"stream_kind":"text""#, "is not of the kind that `stream_kind` says"),
            (r#","data":1,"stream_kind":"uuid""#, "says: a UUID"),
            (r#","data":1,"stream_kind":"name""#, "the field `stream_kind`: unknown variant"),
            (r#","data":1,"id":"7""#, "the field `id`: `7` is no UUID"),
            (r#","data":1 , "id" : "7" ,"correlation":8"#, "the field `id`: `7` is no UUID"),
            (r#","data":1,"correlation":7,"id":"7""#, "the field `correlation`: invalid type"),
            (r#","data":1,"type_version":-1"#, "the field `type_version`: invalid value"),
            (r#","data":1,"metadata":{"a":1}"#, "metadata`: a text or an array of texts"),
            (r#","data":1,"metadata":7"#, "the field `metadata`: invalid type"),
            (r#","data":1,"metadata":{"a":"1","b":"","a":"1"}"#, "metadata`: `a` is there twice"),
            (r#","data":1,"metadata":{"a":[]}"#, "the field `metadata`: `a` has no text"),
            (r#","data":1,"metadata":{"a":["1",2]}"#, "a text or an array of texts"),
            (r#","data_base64":"/wA=","format":"archive""#, "copy the field `layout` from where"),
            (r#","data":1,"layout":"0000000000000007""#, "only data in the format archive"),
            (r#","data_base64":"","layout":7"#, "the field `layout`: invalid type"),
            (r#","data_base64":"","layout":"+000000000000007""#, "is no layout: 16 hex digits"),
            (r#","data":"#, "expected value, at byte"),
        ] {
            let text = refusal(&line(rest));
            assert!(text.starts_with("no event: ") && text.contains(told), "{rest}: {text}");
        }
        assert_eq!(refusal(r#"{"category":"c"}"#), "no event: missing field `stream`");
        let late = r#"{"category":"c","stream":7,"data":1}"#;
        assert_eq!(refusal(late), "no event: missing field `type`");
        assert!(refusal("7").contains("no event: "));
    }
}
