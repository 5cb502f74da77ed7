//! Events of tables as commands show them.

use crate::{
    failure::Result,
    moment,
    output::{Form, Object, Out, printable},
};
use annals::columns::{Field, Role, Schema, Value};

/// Up to here whatever reads JSON has each number as it is written.
const NUMBER_MAX: u64 = 1 << 53;

/// One event as an object, or as a line: its time, and name and value of each field that it has.
pub(super) fn write<'v>(
    out: &mut Out,
    schema: &Schema,
    value_of: impl Fn(usize) -> Value<'v>,
) -> Result<()> {
    if out.form() == Form::Json {
        return out.object(|object| fill(object, schema, value_of));
    }
    let mut line = String::new();
    let ts = schema.ts();
    if let Some(ts) = ts {
        line.push_str(&text(&schema.fields()[ts], value_of(ts)));
    }
    for (at, field) in schema.fields().iter().enumerate().filter(|(at, _)| Some(*at) != ts) {
        let value = value_of(at);
        if !value.is_absent() {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(field.name());
            line.push('=');
            line.push_str(&one_word(&text(field, value)));
        }
    }
    out.line(&line)
}

/// A text that reads as one word.
fn one_word(text: &str) -> String {
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '=');
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("\"{}\"", printable(text.as_bytes()).replace('"', "\\\""))
}

/// The fields that an event has, in their order.
pub(super) fn fill<'v>(
    object: &mut Object<'_>,
    schema: &Schema,
    value_of: impl Fn(usize) -> Value<'v>,
) {
    for (at, field) in schema.fields().iter().enumerate() {
        match (value_of(at), field.role()) {
            (Value::Absent, _) => {}
            (Value::I64(ns), Role::Ts) => drop(object.value(field.name(), moment::text(ns))),
            (Value::U64(bits), Role::Flags(names)) => {
                object.value(field.name(), set(names, bits).collect::<Vec<_>>());
            }
            (Value::I64(number), _) if number.unsigned_abs() <= NUMBER_MAX => {
                object.value(field.name(), number);
            }
            (Value::U64(number), _) if number <= NUMBER_MAX => {
                object.value(field.name(), number);
            }
            (Value::F64(number), _) if number.is_finite() => {
                object.value(field.name(), number);
            }
            (value, _) => drop(object.value(field.name(), text(field, value))),
        }
    }
}

/// The names of the flags that are set.
fn set(names: &[String], bits: u64) -> impl Iterator<Item = &str> {
    let is_set = move |(bit, _): &(usize, &String)| bits >> bit & 1 == 1;
    names.iter().enumerate().filter(is_set).map(|(_, name)| name.as_str())
}

/// A value as people read it, and as the command reads it again.
pub(super) fn text(field: &Field, value: Value<'_>) -> String {
    match (value, field.role()) {
        (Value::Absent, _) => String::new(),
        (Value::I64(ns), Role::Ts) => moment::text(ns),
        (Value::U64(bits), Role::Flags(names)) => set(names, bits).collect::<Vec<_>>().join(","),
        (Value::I64(number), _) => number.to_string(),
        (Value::U64(number), _) => number.to_string(),
        (Value::F64(number), _) => number.to_string(),
        (Value::Text(text), _) => text.to_owned(),
    }
}
