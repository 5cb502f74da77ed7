//! An event as `cqrs-es` has it, and as a stream has it.

use crate::error::unreadable;
use annals_engine::{EventFormat, RecordedEvent};
use cqrs_es::persist::{PersistenceError, SerializedEvent};
use serde_json::{Map, Value};

/// The first pair of each event: the version of its type, which is a text in `cqrs-es`.
pub(crate) const VERSION_PAIR: &str = "event_version";

/// The texts of an event's metadata, by name.
///
/// # Errors
/// If it has something else than texts: no program of `cqrs-es` makes it.
pub(crate) fn pairs_of(metadata: &Value) -> Result<Vec<(&str, &str)>, PersistenceError> {
    let wrong =
        || PersistenceError::UnknownError("metadata of an event have to be texts by name".into());
    let object = match metadata {
        Value::Null => return Ok(Vec::new()),
        Value::Object(object) => object,
        _ => return Err(wrong()),
    };
    object
        .iter()
        .map(|(name, value)| Ok((name.as_str(), value.as_str().ok_or_else(wrong)?)))
        .collect()
}

/// The event as `cqrs-es` wants it.
///
/// # Errors
/// If it is none that this crate wrote.
pub(crate) fn serialized(event: &RecordedEvent<'_>) -> Result<SerializedEvent, PersistenceError> {
    let wrong = |what: &str| {
        let (category, stream, version) = (event.category(), event.stream(), event.version());
        unreadable(format!("the event {version} of `{stream}` in `{category}` {what}"))
    };
    if event.format() != EventFormat::Json {
        return Err(wrong("is no JSON"));
    }
    let mut pairs = event.pairs();
    let version = pairs.next().filter(|(name, _)| *name == VERSION_PAIR);
    let (_, event_version) = version.ok_or_else(|| wrong("has no version of its type"))?;
    let payload = serde_json::from_slice(event.data())?;
    let metadata: Map<String, Value> =
        pairs.map(|(name, value)| (name.to_owned(), value.into())).collect();
    let sequence = event.version().checked_add(1).and_then(|sequence| sequence.try_into().ok());
    Ok(SerializedEvent::new(
        event.stream().to_string(),
        sequence.ok_or_else(|| wrong("has a number that is too high"))?,
        event.category().to_owned(),
        event.event_type().name.clone(),
        event_version.to_owned(),
        payload,
        Value::Object(metadata),
    ))
}
