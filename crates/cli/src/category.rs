//! Categories of streams, as commands use them, and how a stream and its version are written.

use crate::{
    failure::{Failure, Result},
    keyspace,
    output::brief,
};
use annals::{Category, ChainHead, Database, ErrorKind, ExpectedVersion, KeyspaceKind, StreamId};

/// The category `name`, which must be there.
pub(crate) fn open(db: &Database, name: &str) -> Result<Category> {
    db.open_category(name).map_err(|error| match error.kind() {
        ErrorKind::NotFound => unknown(db, name),
        _ => refused(db, name, error),
    })
}

/// What who asks for events of a stream is told that has none: one that has a next version other than 0 had some.
pub(crate) fn no_events(name: &str, stream: &StreamId<'_>, next_version: u64) -> Failure {
    let id = stream_name(stream);
    let id = brief(id.as_bytes());
    Failure::not_found(match next_version {
        0 => format!("the category `{name}` has no stream `{id}`"),
        _ => format!("the stream `{id}` of `{name}` has no events left"),
    })
}

/// The category `name`, made if it is not there.
pub(crate) fn open_or_make(db: &Database, name: &str) -> Result<Category> {
    db.category(name).map_err(|error| refused(db, name, error))
}

/// Drops the category `name` if it has no streams: what a command made and stored nothing in does not
/// stay. If that fails, why the command did is what is to be told.
pub(crate) fn drop_if_empty(db: &Database, name: &str) {
    let is_empty = db.open_category(name).and_then(|category| category.streams_count());
    if is_empty.is_ok_and(|streams_count| streams_count == 0) {
        drop(db.drop_keyspace(name));
    }
}

/// The names and versions of the types that events of a category ever had, in the order in which they came. A type
/// that is there without a layout and with one is one type.
pub(crate) fn types(category: &Category) -> Vec<(String, u32)> {
    let mut types: Vec<(String, u32)> = Vec::new();
    for event_type in category.event_types() {
        let named = (event_type.name.clone(), event_type.version);
        if !types.contains(&named) {
            types.push(named);
        }
    }
    types
}

/// A keyspace of another kind has commands of its own.
fn refused(db: &Database, name: &str, error: annals::Error) -> Failure {
    match keyspace::find(db, name) {
        Ok(info) if info.kind != KeyspaceKind::Streams => {
            let name = brief(name.as_bytes());
            let lists = match info.kind {
                KeyspaceKind::Table => format!("`annals recent {name}` lists its events"),
                _ => format!("`annals scan -k {name}` lists it"),
            };
            Failure::usage(format!(
                "the keyspace `{name}` is of kind {}, not a category of streams; {lists}",
                info.kind
            ))
        }
        _ => keyspace::named_badly(error, "a category"),
    }
}

/// A category that is not there, with those that are.
fn unknown(db: &Database, name: &str) -> Failure {
    let of_streams = |kind| kind == KeyspaceKind::Streams;
    keyspace::unknown_of(db, name, "category of streams", of_streams)
}

/// In front of a text on the command line that would be read as something else.
const TEXT: &str = "text:";

/// A stream as it is named on the command line: a number, a UUID, or a text, with `text:` in front of one that
/// reads like the others.
pub(crate) fn named_stream(name: &str) -> StreamId<'static> {
    match name.strip_prefix(TEXT) {
        Some(text) => StreamId::from(text.to_owned()),
        None => stream_id(name),
    }
}

/// The name of a stream for people: [`named_stream`] reads it back as the same stream.
pub(crate) fn stream_name(id: &StreamId<'_>) -> String {
    match id {
        StreamId::Text(text) if needs_kind(id) || text.starts_with(TEXT) => format!("{TEXT}{text}"),
        _ => id.to_string(),
    }
}

/// Whether the stream is named by a text that reads like a number or a UUID.
pub(crate) fn needs_kind(id: &StreamId<'_>) -> bool {
    matches!(id, StreamId::Text(text) if !matches!(stream_id(text), StreamId::Text(_)))
}

/// A stream as it is written where nothing says its kind: a number, a UUID, or a text. What is no number as numbers
/// are written (with a zero in front, or too large) is a text: no stream has two names.
pub(crate) fn stream_id(text: &str) -> StreamId<'static> {
    match text.parse::<u64>() {
        Ok(number) if number.to_string() == text => StreamId::Number(number),
        _ => match StreamId::parse_uuid(text) {
            Some(uuid) => StreamId::Uuid(uuid),
            None => StreamId::from(text.to_owned()),
        },
    }
}

/// Reads an id that an event is given.
pub(crate) fn parse_id(text: &str) -> Result<u128, String> {
    StreamId::parse_uuid(text)
        .ok_or_else(|| "write a UUID, such as 123e4567-e89b-12d3-a456-426614174000".to_owned())
}

/// Reads `NAME=TEXT`.
pub(crate) fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some(("", _)) => Err("it has no name; write NAME=TEXT".to_owned()),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("write NAME=TEXT".to_owned()),
    }
}

/// Reads the head of a chained stream.
pub(crate) fn parse_head(text: &str) -> Result<ChainHead, String> {
    ChainHead::parse(text)
        .ok_or_else(|| "write a version, a colon and the 64 digits of a hash".to_owned())
}

/// As a UUID is written.
pub(crate) fn uuid(id: u128) -> String {
    StreamId::Uuid(id).to_string()
}

/// Reads what a stream is expected to be: a version, `any`, `none` or `exists`.
pub(crate) fn parse_expected(text: &str) -> Result<ExpectedVersion, String> {
    match text {
        "any" => Ok(ExpectedVersion::Any),
        "none" => Ok(ExpectedVersion::NoStream),
        "exists" => Ok(ExpectedVersion::StreamExists),
        _ => text
            .parse()
            .map(ExpectedVersion::Exact)
            .map_err(|_| "write the version of the last event, any, none or exists".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_one_name() {
        let uuid = "123e4567-e89b-12d3-a456-426614174000";
        assert_eq!(stream_id("0"), StreamId::Number(0));
        assert_eq!(stream_id("18446744073709551615"), StreamId::Number(u64::MAX));
        assert_eq!(stream_id(uuid), StreamId::Uuid(0x123e_4567_e89b_12d3_a456_4266_1417_4000));
        let texts = ["", "007", "+7", "-7", "18446744073709551616", "ada", "7 ", &uuid[1..]];
        for text in texts {
            assert_eq!(stream_id(text), StreamId::from(text), "{text:?}");
        }
        for text in texts.into_iter().chain(["0", "42", uuid]) {
            assert_eq!(stream_id(text).to_string(), text);
        }
    }

    #[test]
    fn texts_that_read_like_numbers_have_names_of_their_own() {
        let uuid = "123e4567-e89b-12d3-a456-426614174000";
        for (text, name) in [("7", "text:7"), ("ada", "ada"), ("text:7", "text:text:7"), ("", "")] {
            let id = StreamId::from(text);
            assert_eq!((&*stream_name(&id), named_stream(name)), (name, id));
        }
        assert_eq!(named_stream("text:ada"), StreamId::from("ada"));
        for name in ["7", uuid, &format!("text:{uuid}"), "text:", "007"] {
            let id = named_stream(name);
            assert_eq!(named_stream(&stream_name(&id)), id, "{name}");
        }
        assert!(needs_kind(&StreamId::from(uuid)) && !needs_kind(&StreamId::Number(7)));
    }

    #[test]
    fn ids_pairs_and_heads_are_read() {
        let uuid = "123e4567-e89b-12d3-a456-426614174000";
        assert_eq!(parse_id(uuid), Ok(0x123e_4567_e89b_12d3_a456_4266_1417_4000));
        assert!(parse_id("7").is_err() && parse_id("").is_err());
        let pair = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(parse_pair("a=b=c"), pair("a", "b=c"));
        assert_eq!(parse_pair("a="), pair("a", ""));
        assert!(parse_pair("user").is_err() && parse_pair("=x").is_err());
        let head = format!("7:{}", "0a".repeat(32));
        assert_eq!(parse_head(&head).map(|read| read.to_string()), Ok(head.clone()));
        assert!(parse_head(&head[1..]).is_err());
    }

    #[test]
    fn expectations_are_read() {
        assert_eq!(parse_expected("7"), Ok(ExpectedVersion::Exact(7)));
        assert_eq!(parse_expected("none"), Ok(ExpectedVersion::NoStream));
        for bad in ["", "-1", "None", "1.0", "18446744073709551616"] {
            assert!(parse_expected(bad).is_err(), "{bad}");
        }
    }
}
