//! From cells to rows of a batch.

use super::{Cell, Given, field_name};
use crate::moment;
use annals::columns::{Batch, Role, RowBuilder, Schema};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Fills rows of a schema.
#[derive(Debug)]
pub(crate) struct Filler {
    schema: Arc<Schema>,
    /// Where the values of a name go. Lines mostly have the same names in the same order, so the one behind the last
    /// is tried first.
    targets: Vec<(String, Target)>,
    by_name: HashMap<String, usize>,
    /// Values that have no field: how many of each name.
    left_out: BTreeMap<String, u64>,
    texts: Vec<u8>,
}

/// Where values of a name go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Field(usize),
    /// A bit of the flags.
    Flag(u16),
    Nowhere,
}

impl Filler {
    pub(crate) fn new(schema: Arc<Schema>) -> Self {
        let (targets, by_name) = (Vec::new(), HashMap::new());
        Self { schema, targets, by_name, left_out: BTreeMap::new(), texts: Vec::new() }
    }

    /// Values that had no field.
    pub(crate) fn left_out(&self) -> &BTreeMap<String, u64> {
        &self.left_out
    }

    /// Adds an event of these values to the batch, or says why it cannot be one.
    pub(crate) fn fill(&mut self, cells: &[Cell<'_>], batch: &mut Batch) -> Result<(), String> {
        let mut row = batch.row();
        let (mut flags, mut left_out) = (None::<u16>, Vec::new());
        for (at, cell) in cells.iter().enumerate() {
            match self.target(at, &cell.name) {
                Target::Nowhere if cell.value == Given::Nothing => {}
                Target::Nowhere => left_out.push(&*cell.name),
                Target::Flag(bit) => match told_bool(&cell.value) {
                    Some(Some(is_set)) => {
                        *flags.get_or_insert(0) |= if is_set { bit } else { 0 };
                    }
                    Some(None) => {}
                    None => return Err(wrong(&cell.name, &cell.value, "neither true nor false")),
                },
                Target::Field(field) => {
                    let told = give(&self.schema, &mut row, field, &cell.value, &mut self.texts)?;
                    flags = match told {
                        Some(told) => Some(flags.unwrap_or(0) | told),
                        None => flags,
                    };
                }
            }
        }
        let has_flags = |role: &Role| matches!(role, Role::Flags(_));
        if let Some(field) = self.schema.fields().iter().position(|field| has_flags(field.role())) {
            let is_optional = self.schema.fields()[field].is_optional();
            // Flags that nobody spoke of are not set.
            if let Some(flags) = flags.or((!is_optional).then_some(0)) {
                row.u16(field, flags).map_err(|error| error.to_string())?;
            }
        }
        row.finish().map_err(|error| error.to_string())?;
        for name in left_out {
            *self.left_out.entry(name.to_owned()).or_default() += 1;
        }
        Ok(())
    }

    fn target(&mut self, at: usize, name: &str) -> Target {
        /// More names than this are not remembered: an object may have a new one on each line.
        const NAMES_MAX: usize = 4_096;
        if let Some((known, target)) = self.targets.get(at)
            && known == name
        {
            return *target;
        }
        if let Some(at) = self.by_name.get(name) {
            return self.targets[*at].1;
        }
        let target = self.find(name);
        if self.targets.len() < NAMES_MAX {
            self.by_name.insert(name.to_owned(), self.targets.len());
            self.targets.push((name.to_owned(), target));
        }
        target
    }

    fn find(&self, name: &str) -> Target {
        let name = field_name(name);
        if let Some(field) = self.schema.index_of(&name) {
            return Target::Field(field);
        }
        for field in self.schema.fields() {
            if let Role::Flags(flags) = field.role()
                && let Some(bit) = flags.iter().position(|flag| *flag == *name)
            {
                return Target::Flag(1 << bit);
            }
        }
        Target::Nowhere
    }
}

/// Gives a value to a field; flags are only told.
fn give(
    schema: &Schema,
    row: &mut RowBuilder<'_>,
    field: usize,
    value: &Given<'_>,
    texts: &mut Vec<u8>,
) -> Result<Option<u16>, String> {
    let told = &schema.fields()[field];
    let (name, role) = (told.name(), told.role());
    let is_blank = |bytes: &[u8]| bytes.is_empty() && told.is_optional();
    match value {
        Given::Nothing => return Ok(None),
        Given::Loose(bytes) if is_blank(bytes) => return Ok(None),
        _ => {}
    }
    let given = match role {
        Role::Ts => {
            let ns = time(value).ok_or_else(|| wrong(name, value, "no time"))?;
            row.i64(field, ns)
        }
        Role::MetricI64 => {
            let number = whole(value).ok_or_else(|| wrong(name, value, "no whole number"))?;
            let number =
                i64::try_from(number).map_err(|_| wrong(name, value, "no number of 64 bits"))?;
            row.i64(field, number)
        }
        Role::MetricF64 => {
            let what = match value {
                Given::Number(_) => "no number of 64 bits",
                _ => "no number",
            };
            row.f64(field, fraction(value).ok_or_else(|| wrong(name, value, what))?)
        }
        Role::CounterU64 => row.u64(field, unsigned(name, value, u64::MAX)?),
        Role::CounterU32 | Role::Latency | Role::LatencyDetail => {
            row.u32(field, unsigned(name, value, u32::MAX.into())? as u32)
        }
        Role::Status => row.u16(field, unsigned(name, value, u16::MAX.into())? as u16),
        Role::Flags(flags) => {
            return bits(flags, value)
                .map(Some)
                .ok_or_else(|| wrong(name, value, "no list of flags that the schema names"));
        }
        _ => match value {
            Given::Text(bytes) | Given::Loose(bytes) => row.text_bytes(field, bytes),
            other => {
                use std::io::Write;
                texts.clear();
                // A vector takes whatever is written to it.
                let _ = match other {
                    Given::U64(number) => write!(texts, "{number}"),
                    Given::I64(number) => write!(texts, "{number}"),
                    Given::Number(digits) => write!(texts, "{digits}"),
                    Given::Bool(is_set) => write!(texts, "{is_set}"),
                    Given::Json(json) => write!(texts, "{json}"),
                    Given::Nothing | Given::Text(_) | Given::Loose(_) => Ok(()),
                };
                row.text_bytes(field, texts)
            }
        },
    };
    given.map(|_| None).map_err(|error| error.to_string())
}

/// Why a value cannot be taken.
fn wrong(name: &str, value: &Given<'_>, what: &str) -> String {
    let shown = match value {
        Given::Nothing => "nothing".to_owned(),
        Given::Text(bytes) | Given::Loose(bytes) => {
            if str::from_utf8(bytes).is_err() {
                return format!("the field `{name}` was given bytes that are not UTF-8");
            }
            format!("`{}`", crate::output::brief(bytes))
        }
        Given::U64(number) => format!("`{number}`"),
        Given::I64(number) => format!("`{number}`"),
        Given::Number(digits) => format!("`{}`", crate::output::brief(digits.as_bytes())),
        Given::Bool(is_set) => format!("`{is_set}`"),
        Given::Json(json) => format!("`{}`", crate::output::brief(json.as_bytes())),
    };
    format!("the field `{name}` was given {shown}, which is {what}")
}

fn written<'a>(value: &'a Given<'_>) -> Option<&'a str> {
    match value {
        Given::Text(bytes) | Given::Loose(bytes) => str::from_utf8(bytes).ok().map(str::trim),
        _ => None,
    }
}

/// The time that a value is.
pub(super) fn time(value: &Given<'_>) -> Option<i64> {
    match value {
        Given::U64(number) => moment::of_number((*number).try_into().ok()?),
        Given::I64(number) => moment::of_number(*number),
        Given::Number(digits) => moment::of_seconds(digits.parse().ok()?),
        value => moment::parse(written(value)?),
    }
}

/// The whole number that a value is.
pub(super) fn whole(value: &Given<'_>) -> Option<i128> {
    match value {
        Given::U64(number) => Some((*number).into()),
        Given::I64(number) => Some((*number).into()),
        Given::Number(digits) => digits.parse().ok().or_else(|| {
            let number: f64 = digits.parse().ok()?;
            (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i128)
        }),
        value => written(value)?.parse().ok(),
    }
}

/// The number that a value is.
pub(super) fn fraction(value: &Given<'_>) -> Option<f64> {
    match value {
        Given::U64(number) => Some(*number as f64),
        Given::I64(number) => Some(*number as f64),
        Given::Number(digits) => in_range(digits),
        value => in_range(written(value)?),
    }
}

/// A number in 64 bits; digits that come to more than it can be are none.
fn in_range(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    let has_digits = || text.bytes().any(|byte| byte.is_ascii_digit());
    (!number.is_infinite() || !has_digits()).then_some(number)
}

fn unsigned(name: &str, value: &Given<'_>, max: u64) -> Result<u64, String> {
    let number = whole(value).and_then(|number| u64::try_from(number).ok());
    number
        .filter(|number| *number <= max)
        .ok_or_else(|| wrong(name, value, &format!("no whole number from 0 to {max}")))
}

/// Whether a value says yes or no; `Some(None)` if it says nothing, `None` if something else.
pub(super) fn told_bool(value: &Given<'_>) -> Option<Option<bool>> {
    match value {
        Given::Nothing => Some(None),
        Given::Bool(is_set) => Some(Some(*is_set)),
        Given::U64(number @ 0..=1) => Some(Some(*number == 1)),
        value => match written(value)? {
            "" => Some(None),
            "true" | "TRUE" | "True" | "1" => Some(Some(true)),
            "false" | "FALSE" | "False" | "0" => Some(Some(false)),
            _ => None,
        },
    }
}

/// Bits of flags by their names, which stand apart or in a list.
fn bits(names: &[String], value: &Given<'_>) -> Option<u16> {
    let listed: Vec<String>;
    let told: Vec<&str> = match value {
        Given::U64(bits) => {
            let all = u64::from(u16::MAX) >> (16 - names.len().min(16));
            return u16::try_from(*bits).ok().filter(|bits| u64::from(*bits) <= all);
        }
        Given::Json(json) => {
            listed = serde_json::from_str(json).ok()?;
            listed.iter().map(String::as_str).collect()
        }
        value => {
            let apart = |c: char| c == ',' || c == '|' || c.is_whitespace();
            written(value)?.split(apart).filter(|name| !name.is_empty()).collect()
        }
    };
    told.iter().try_fold(0, |bits, name| {
        let bit = names.iter().position(|known| known == name)?;
        Some(bits | 1 << bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use annals::columns::{Dimension, Value};
    use proptest::prelude::*;

    fn schema() -> Arc<Schema> {
        let flags = vec!["secure".to_owned(), "cached".to_owned()];
        let schema = Schema::builder(1)
            .with("at", Role::Ts)
            .with("status", Role::Status)
            .with_optional("cost", Role::MetricF64)
            .with_optional("bytes", Role::CounterU64)
            .with_optional("user", Role::Dimension(Dimension::Plain))
            .with("flags", Role::Flags(flags));
        Arc::new(schema.build().unwrap())
    }

    fn fill(cells: &[(&str, Given<'_>)]) -> Result<Batch, String> {
        let mut batch = Batch::new(schema());
        let cells: Vec<Cell<'_>> =
            cells.iter().map(|(name, value)| Cell::new(*name, value.clone())).collect();
        Filler::new(schema()).fill(&cells, &mut batch)?;
        Ok(batch)
    }

    fn loose(text: &str) -> Given<'_> {
        Given::Loose(text.as_bytes().into())
    }

    #[test]
    fn values_become_what_their_field_takes() {
        let at = ("at", loose("2015-05-17T10:05:03Z"));
        let batch = fill(&[
            at.clone(),
            ("status", loose("404")),
            ("cost", loose("1.5")),
            ("bytes", loose("")),
            ("user", Given::U64(17)),
            ("secure", Given::Bool(true)),
            ("cached", Given::Nothing),
            ("other", loose("x")),
        ]);
        let batch = batch.unwrap();
        let row: Vec<Value<'_>> = (0..6).map(|field| batch.value(0, field)).collect();
        let ns = Value::I64(1_431_857_103_000_000_000);
        let wanted = [ns, Value::U64(404), Value::F64(1.5), Value::Absent, Value::Text("17")];
        assert_eq!(row[..5], wanted);
        assert_eq!(row[5], Value::U64(1));
        let listed = fill(&[
            at,
            ("status", Given::Number("200.0")),
            ("flags", Given::Json("[\"cached\"]")),
            ("secure", loose("1")),
        ]);
        assert_eq!(listed.unwrap().value(0, 5), Value::U64(3));
    }

    #[test]
    fn what_a_field_does_not_take_is_told_with_its_name() {
        let at = ("at", Given::U64(1_431_857_103));
        for (cells, said) in [
            (vec![at.clone()], "`status` is missing"),
            (vec![("status", Given::U64(200))], "`at` is missing"),
            (
                vec![at.clone(), ("status", loose("70000"))],
                "`70000`, which is no whole number from 0 to 65535",
            ),
            (vec![at.clone(), ("status", loose("-1"))], "`status`"),
            (
                vec![at.clone(), ("status", loose("200")), ("cost", loose("x"))],
                "`x`, which is no number",
            ),
            (vec![("at", loose("soon"))], "`soon`, which is no time"),
            (
                vec![at.clone(), ("user", Given::Text(b"\xff"[..].into()))],
                "`user` was given bytes that are not UTF-8",
            ),
            (vec![at.clone(), ("status", loose("\u{fffd}")), ("status", loose("1"))], "`status`"),
            (vec![at.clone(), ("flags", loose("secure,gone"))], "`flags`"),
            (
                vec![at.clone(), ("status", Given::U64(200)), ("cost", Given::Number("-1.0e400"))],
                "`cost` was given `-1.0e400`, which is no number of 64 bits",
            ),
            (
                vec![at.clone(), ("status", Given::Number("99999999999999999999"))],
                "`99999999999999999999`",
            ),
            (vec![at.clone(), ("secure", loose("maybe"))], "`secure`"),
            (vec![at.clone(), ("status", loose("1")), ("status", loose("1"))], "twice"),
        ] {
            let error = fill(&cells).unwrap_err();
            assert!(error.contains(said), "{said}: {error}");
        }
    }

    #[test]
    fn values_without_a_field_are_counted_by_name() {
        let mut filler = Filler::new(schema());
        let mut batch = Batch::new(schema());
        for round in 0..3u64 {
            let mut cells = vec![
                Cell::new("at", Given::U64(round)),
                Cell::new("x", Given::Bool(true)),
                Cell::new("status", Given::U64(1)),
            ];
            cells.rotate_left(round as usize);
            filler.fill(&cells, &mut batch).unwrap();
        }
        assert_eq!(batch.len(), 3);
        assert_eq!(
            filler.left_out().iter().map(|(n, c)| (n.as_str(), *c)).collect::<Vec<_>>(),
            [("x", 3)]
        );
    }

    proptest! {
        #[test]
        fn no_values_are_too_much(name in "at|status|cost|bytes|user|flags|secure|x", bytes: Vec<u8>, number: f64, whole: i64, bits: u64) {
            let json = String::from_utf8_lossy(&bytes).into_owned();
            let digits = format!("{number:e}");
            for value in [
                Given::Nothing, Given::Text(bytes.clone().into()), Given::Loose(bytes.into()),
                Given::Number(&digits), Given::I64(whole), Given::U64(bits), Given::Json(&json),
            ] {
                let _ = fill(&[(&name, value)]);
            }
        }
    }
}
