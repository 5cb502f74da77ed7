//! Figures under names: lines for people, one object for programs. The names carry the unit, as
//! everywhere in the project; people read them with spaces.

use super::{Form, Object, Table};
use crate::units;
use serde::{Serialize, Serializer};

/// One measured or stored quantity.
#[derive(Clone, Debug)]
pub(crate) enum Figure {
    /// How many.
    Count(u64),
    /// About how many.
    Estimate(u64),
    /// How large.
    Bytes(u64),
    /// How long, in seconds.
    Seconds(f64),
    /// How many a second.
    Rate(f64),
    /// How many times as much.
    Times(f64),
    /// A part of a whole, from 0 to 1.
    Share(f64),
    /// Yes or no.
    Flag(bool),
    /// Anything in words.
    Text(String),
    /// A table: whole for programs, in few words for people.
    Listing { brief: String, table: Table },
    /// A number that is a name, such as a status.
    Plain(u64),
    /// A sum of whole numbers.
    Whole(i128),
    /// A number with a fraction.
    Fraction(f64),
    /// There is none.
    Nothing,
    /// There is none of a field whose name says no unit.
    Absent,
}

/// Up to here whatever reads JSON has each number as it is written.
const NUMBER_MAX: u128 = 1 << 53;

impl Figure {
    /// Words.
    pub(crate) fn text_of(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// As people read it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Count(n) => units::count(*n),
            Self::Estimate(n) => format!("~{}", units::count(*n)),
            Self::Bytes(n) => units::bytes(*n),
            Self::Seconds(s) => units::seconds(*s),
            Self::Rate(n) => units::count(n.round() as u64),
            Self::Times(n) => format!("{n:.2}"),
            Self::Share(n) => format!("{:.1}%", n * 100.0),
            Self::Flag(yes) => if *yes { "yes" } else { "no" }.to_owned(),
            Self::Text(text) | Self::Listing { brief: text, .. } => text.clone(),
            Self::Plain(n) => n.to_string(),
            Self::Whole(n) => units::whole(*n),
            Self::Fraction(n) => units::fraction(*n),
            Self::Nothing | Self::Absent => "-".to_owned(),
        }
    }

    /// What people call a field of this name: its unit is in the figure they read, so it need not
    /// be in the name as well.
    pub(crate) fn label(&self, name: &str) -> String {
        let short = match self {
            Self::Count(_) | Self::Estimate(_) => name.strip_suffix("_count"),
            Self::Bytes(_) => name.strip_suffix("_bytes"),
            Self::Seconds(_) if name == "seconds" => Some("time"),
            Self::Seconds(_) => name.strip_suffix("_seconds"),
            Self::Rate(_)
            | Self::Times(_)
            | Self::Share(_)
            | Self::Flag(_)
            | Self::Text(_)
            | Self::Plain(_)
            | Self::Whole(_)
            | Self::Fraction(_)
            | Self::Absent
            | Self::Listing { .. } => None,
            Self::Nothing => ["_count", "_bytes", "_seconds"]
                .into_iter()
                .find_map(|unit| name.strip_suffix(unit)),
        };
        short.unwrap_or(name).replace('_', " ")
    }

    /// Whether it stands right in a column.
    pub(crate) fn is_number(&self) -> bool {
        !matches!(self, Self::Text(_) | Self::Listing { .. } | Self::Flag(_))
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(n) | Self::Estimate(n) | Self::Bytes(n) => to.serialize_u64(*n),
            Self::Seconds(n) => to.serialize_f64(*n),
            Self::Rate(n) => to.serialize_f64((n * 10.0).round() / 10.0),
            Self::Times(n) | Self::Share(n) => to.serialize_f64((n * 1000.0).round() / 1000.0),
            Self::Flag(yes) => to.serialize_bool(*yes),
            Self::Text(text) => to.serialize_str(text),
            Self::Listing { table, .. } => table.serialize(to),
            Self::Plain(n) if u128::from(*n) <= NUMBER_MAX => to.serialize_u64(*n),
            Self::Plain(n) => to.collect_str(n),
            Self::Whole(n) if n.unsigned_abs() <= NUMBER_MAX => to.serialize_i64(*n as i64),
            Self::Whole(n) => to.collect_str(n),
            Self::Fraction(n) if n.is_finite() => to.serialize_f64(*n),
            Self::Fraction(n) => to.collect_str(n),
            Self::Nothing | Self::Absent => to.serialize_none(),
        }
    }
}

/// Figures in order, in sections if there are many.
#[derive(Debug, Default)]
pub(crate) struct Report {
    sections: Vec<Section>,
    listings: Vec<(&'static str, Table)>,
}

#[derive(Debug)]
struct Section {
    name: Option<&'static str>,
    fields: Vec<(&'static str, Figure)>,
}

impl Report {
    /// Starts a section: an object of its own in JSON.
    pub(crate) fn section(&mut self, name: &'static str) -> &mut Self {
        self.sections.push(Section { name: Some(name), fields: Vec::new() });
        self
    }

    /// Adds a table: an array of objects in JSON, and below all sections for people.
    pub(crate) fn listing(&mut self, name: &'static str, table: Table) -> &mut Self {
        self.listings.push((name, table));
        self
    }

    /// Adds a figure to the section started last.
    pub(crate) fn add(&mut self, name: &'static str, figure: Figure) -> &mut Self {
        if self.sections.is_empty() {
            self.sections.push(Section { name: None, fields: Vec::new() });
        }
        if let Some(section) = self.sections.last_mut() {
            section.fields.push((name, figure));
        }
        self
    }

    pub(crate) fn count(&mut self, name: &'static str, count: u64) -> &mut Self {
        self.add(name, Figure::Count(count))
    }

    pub(crate) fn bytes(&mut self, name: &'static str, bytes: u64) -> &mut Self {
        self.add(name, Figure::Bytes(bytes))
    }

    pub(crate) fn seconds(&mut self, name: &'static str, seconds: f64) -> &mut Self {
        self.add(name, Figure::Seconds(seconds))
    }

    pub(crate) fn rate(&mut self, name: &'static str, per_second: f64) -> &mut Self {
        self.add(name, Figure::Rate(per_second))
    }

    pub(crate) fn text_field(&mut self, name: &'static str, text: impl Into<String>) -> &mut Self {
        self.add(name, Figure::Text(text.into()))
    }

    /// The figures in one line of prose.
    pub(crate) fn inline(&self) -> String {
        let fields = self.sections.iter().flat_map(|section| &section.fields);
        let parts: Vec<String> = fields
            .map(|(name, figure)| format!("{} {}", figure.label(name), figure.text()))
            .collect();
        parts.join(" · ")
    }

    /// As people read it.
    pub(crate) fn text(&self, form: Form) -> String {
        let mut table = Table::new(&["what", "figure"]);
        for section in &self.sections {
            for (name, figure) in &section.fields {
                let label = match section.name {
                    Some(section) => format!("{section}: {}", figure.label(name)),
                    None => figure.label(name),
                };
                table.row(vec![Figure::Text(label), Figure::Text(figure.text())]);
            }
        }
        let shown = |table: &Table| match form {
            Form::Terminal => table.framed() + "\n",
            Form::Plain | Form::Json => table.aligned(),
        };
        let mut text = shown(&table);
        for (name, listing) in &self.listings {
            text += &format!("\n{}:\n{}", name.replace('_', " "), shown(listing));
        }
        text
    }

    /// As fields of an object.
    pub(crate) fn fill(&self, object: &mut Object<'_>) {
        for section in &self.sections {
            match section.name {
                None => {
                    for (name, figure) in &section.fields {
                        object.value(name, figure);
                    }
                }
                Some(name) => {
                    object.value(name, Fields(&section.fields));
                }
            }
        }
        for (name, listing) in &self.listings {
            object.value(name, listing);
        }
    }
}

struct Fields<'a>(&'a [(&'static str, Figure)]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, figure)| (name, figure)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_nest_in_json_and_prefix_for_people() {
        let mut report = Report::default();
        report.count("keys_count", 1_000);
        report.section("log").bytes("bytes", 2048).add("held", Figure::Nothing);
        let mut line = Vec::new();
        let mut object = Object::open(&mut line);
        report.fill(&mut object);
        object.close();
        let text = String::from_utf8(line).unwrap();
        assert_eq!(text, r#"{"keys_count":1000,"log":{"bytes":2048,"held":null}}"#);
        let text = report.text(Form::Plain);
        assert!(text.contains("keys        1,000\nlog: bytes  2.0 KiB\n"), "{text}");
        assert_eq!(report.inline(), "keys 1,000 · bytes 2.0 KiB · held -");
    }

    #[test]
    fn listings_are_arrays_in_json_and_tables_for_people() {
        let mut levels = Table::new(&["level", "bytes"]);
        levels.row(vec![Figure::Count(0), Figure::Bytes(2048)]);
        levels.row(vec![Figure::Count(1), Figure::Bytes(0)]);
        let mut report = Report::default();
        let (brief, table) = ("0: 2.0 KiB".to_owned(), levels.clone());
        report.add("in_brief", Figure::Listing { brief, table });
        report.add("write_times", Figure::Times(2.5));
        report.add("hit_rate", Figure::Share(0.12345));
        report.listing("levels_of_it", levels);
        let mut line = Vec::new();
        let mut object = Object::open(&mut line);
        report.fill(&mut object);
        object.close();
        let text = String::from_utf8(line).unwrap();
        let levels = r#"[{"level":0,"bytes":2048},{"level":1,"bytes":0}]"#;
        let all = format!(
            r#"{{"in_brief":{levels},"write_times":2.5,"hit_rate":0.123,"levels_of_it":{levels}}}"#
        );
        assert_eq!(text, all);
        let text = report.text(Form::Plain);
        assert!(
            text.contains("in brief     0: 2.0 KiB\nwrite times  2.50\nhit rate     12.3%\n"),
            "{text}"
        );
        assert!(
            text.ends_with("\nlevels of it:\nlevel    bytes\n    0  2.0 KiB\n    1      0 B\n"),
            "{text}"
        );
    }
}
