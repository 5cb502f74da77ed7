//! Schemas as text: one JSON object, a field a line. What is shown can be saved, changed and given back.

use annals::columns::{Dimension, Field, Role, Schema};
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SchemaText {
    #[serde(default = "first_id")]
    schema_id: u32,
    fields: Vec<FieldText>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FieldText {
    name: String,
    role: RoleText,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    kept_as: Option<TypeText>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    flags: Vec<String>,
    #[serde(default, skip_serializing_if = "is_not")]
    bloom: bool,
    #[serde(default, skip_serializing_if = "is_not")]
    rollup: bool,
    #[serde(default, skip_serializing_if = "is_not")]
    optional: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum RoleText {
    Ts,
    Metric,
    Counter,
    Latency,
    LatencyDetail,
    Status,
    Flags,
    Dimension,
    Label,
    Id,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum TypeText {
    I64,
    F64,
    U64,
    U32,
}

fn first_id() -> u32 {
    1
}

fn is_not(it: &bool) -> bool {
    !it
}

/// Reads a schema.
pub(crate) fn read_schema(text: &str) -> Result<Schema, String> {
    let read: SchemaText = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut builder = Schema::builder(read.schema_id);
    for field in read.fields {
        let role = field.role()?;
        builder = match field.optional {
            false => builder.with(&field.name, role),
            true => builder.with_optional(&field.name, role),
        };
    }
    builder.build().map_err(|error| error.to_string())
}

/// The schema as [`read_schema`] reads it.
pub(crate) fn show_schema(schema: &Schema) -> String {
    let fields: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| {
            let text = serde_json::to_string(&FieldText::of(field));
            // Strings and yes or no: nothing that JSON does not have.
            format!("    {}", text.unwrap_or_default())
        })
        .collect();
    format!(
        "{{\n  \"schema_id\": {},\n  \"fields\": [\n{}\n  ]\n}}",
        schema.id(),
        fields.join(",\n")
    )
}

impl FieldText {
    fn role(&self) -> Result<Role, String> {
        use RoleText as R;
        let refuse = |what: &str| Err(format!("the field `{}` {what}", self.name));
        if (self.bloom || self.rollup) && self.role != R::Dimension {
            return refuse("is no dimension: only those have `bloom` and `rollup`");
        }
        if !self.flags.is_empty() && self.role != R::Flags {
            return refuse("has names of flags, and not the role `flags`");
        }
        Ok(match (self.role, self.kept_as) {
            (R::Metric, None | Some(TypeText::I64)) => Role::MetricI64,
            (R::Metric, Some(TypeText::F64)) => Role::MetricF64,
            (R::Metric, Some(_)) => return refuse("is a metric: its type is `i64` or `f64`"),
            (R::Counter, Some(TypeText::U32)) => Role::CounterU32,
            (R::Counter, None | Some(TypeText::U64)) => Role::CounterU64,
            (R::Counter, Some(_)) => return refuse("is a counter: its type is `u32` or `u64`"),
            (_, Some(_)) => return refuse("has a type, which only metrics and counters have"),
            (R::Ts, None) => Role::Ts,
            (R::Latency, None) => Role::Latency,
            (R::LatencyDetail, None) => Role::LatencyDetail,
            (R::Status, None) => Role::Status,
            (R::Flags, None) => Role::Flags(self.flags.clone()),
            (R::Label, None) => Role::Label,
            (R::Id, None) => Role::Id,
            (R::Dimension, None) => Role::Dimension(match (self.bloom, self.rollup) {
                (false, false) => Dimension::Plain,
                (true, false) => Dimension::Bloom,
                (false, true) => Dimension::Rollup,
                (true, true) => Dimension::BloomRollup,
            }),
        })
    }

    fn of(field: &Field) -> Self {
        let (role, kept_as) = match field.role() {
            Role::Ts => (RoleText::Ts, None),
            Role::MetricI64 => (RoleText::Metric, Some(TypeText::I64)),
            Role::MetricF64 => (RoleText::Metric, Some(TypeText::F64)),
            Role::CounterU32 => (RoleText::Counter, Some(TypeText::U32)),
            Role::CounterU64 => (RoleText::Counter, Some(TypeText::U64)),
            Role::Latency => (RoleText::Latency, None),
            Role::LatencyDetail => (RoleText::LatencyDetail, None),
            Role::Status => (RoleText::Status, None),
            Role::Flags(_) => (RoleText::Flags, None),
            Role::Dimension(_) => (RoleText::Dimension, None),
            Role::Id => (RoleText::Id, None),
            // A role of a later version is shown as what can be said of any string.
            _ => (RoleText::Label, None),
        };
        let (bloom, rollup) = match field.role() {
            Role::Dimension(kind) => (kind.has_bloom(), kind.has_rollup()),
            _ => (false, false),
        };
        let flags = if let Role::Flags(names) = field.role() { names.clone() } else { Vec::new() };
        let (name, optional) = (field.name().to_owned(), field.is_optional());
        Self { name, role, kept_as, flags, bloom, rollup, optional }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_shown_is_read_back() {
        let schema = Schema::builder(7)
            .with("time", Role::Ts)
            .with("client", Role::Dimension(Dimension::BloomRollup))
            .with_optional("path", Role::Dimension(Dimension::Plain))
            .with("cost", Role::MetricF64)
            .with_optional("bytes", Role::CounterU64)
            .with("hits", Role::CounterU32)
            .with("ms", Role::Latency)
            .with("db_ms", Role::LatencyDetail)
            .with("status", Role::Status)
            .with("flags", Role::Flags(vec!["secure".into(), "cached".into()]))
            .with("agent", Role::Label)
            .with("id", Role::Id)
            .build()
            .unwrap();
        let text = show_schema(&schema);
        assert_eq!(read_schema(&text).unwrap(), schema);
        assert!(
            text.contains("\n    {\"name\":\"path\",\"role\":\"dimension\",\"optional\":true},\n"),
            "{text}"
        );
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (text, said) in [
            ("", "EOF"),
            ("{\"fields\":[]}", "no fields"),
            ("{\"fields\":[{\"name\":\"a\",\"role\":\"time\"}]}", "unknown variant `time`"),
            ("{\"fields\":[{\"name\":\"a\",\"role\":\"ts\",\"opt\":true}]}", "unknown field `opt`"),
            (
                "{\"fields\":[{\"name\":\"a\",\"role\":\"counter\",\"type\":\"f64\"}]}",
                "`u32` or `u64`",
            ),
            (
                "{\"fields\":[{\"name\":\"a\",\"role\":\"label\",\"type\":\"u64\"}]}",
                "only metrics and counters",
            ),
            ("{\"fields\":[{\"name\":\"a\",\"role\":\"label\",\"bloom\":true}]}", "no dimension"),
            ("{\"fields\":[{\"name\":\"a b\",\"role\":\"label\"}]}", "letters"),
        ] {
            let error = read_schema(text).unwrap_err();
            assert!(error.contains(said), "{said}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in ".*") {
            let _ = read_schema(&text);
        }
    }
}
