//! Listings: a frame on a terminal, aligned columns in a pipe, objects in JSON.

use super::{Figure, Object};
use comfy_table::{CellAlignment, ContentArrangement, presets};
use serde::{Serialize, Serializer};
use std::borrow::Cow;

/// The narrowest terminal that columns are fitted to.
const WIDTH_MIN: u16 = 40;

/// Rows under one heading.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    names: Vec<Cow<'static, str>>,
    rows: Vec<Vec<Figure>>,
}

/// A row with its names.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    names: &'a [Cow<'static, str>],
    figures: &'a [Figure],
}

impl Table {
    /// A table with columns of these names, which are the fields' names in JSON.
    pub(crate) fn new(names: &[&'static str]) -> Self {
        Self { names: names.iter().map(|name| Cow::Borrowed(*name)).collect(), rows: Vec::new() }
    }

    /// The same with names that somebody else chose.
    pub(crate) fn of(names: Vec<String>) -> Self {
        Self { names: names.into_iter().map(Cow::Owned).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If it has not one figure for each column.
    pub(crate) fn row(&mut self, figures: Vec<Figure>) {
        assert_eq!(figures.len(), self.names.len(), "a row has a figure for each column");
        self.rows.push(figures);
    }

    /// Takes away all rows.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|figures| Row { names: &self.names, figures })
    }

    /// With a frame, as wide as the terminal allows.
    pub(crate) fn framed(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        // A terminal that does not tell its width gets long lines rather than narrow columns.
        if table.width().is_some_and(|width| width >= WIDTH_MIN) {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        table.set_header(self.heads());
        for row in &self.rows {
            table.add_row(row.iter().map(Figure::text));
        }
        for (at, column) in table.column_iter_mut().enumerate() {
            if self.is_number(at) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.to_string()
    }

    /// In columns held apart by two spaces.
    pub(crate) fn aligned(&self) -> String {
        let rows: Vec<Vec<String>> = std::iter::once(self.heads())
            .chain(self.rows.iter().map(|row| row.iter().map(Figure::text).collect()))
            .collect();
        let widths: Vec<usize> = (0..self.names.len())
            .map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0))
            .collect();
        let mut out = String::new();
        for row in &rows {
            let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
                if self.is_number(at) {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:width$}")
                }
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    fn heads(&self) -> Vec<String> {
        let label = |(at, name): (usize, &Cow<'static, str>)| match self.rows.first() {
            Some(row) => row[at].label(name),
            // As over rows: names of ours end in the unit, those that somebody chose may end in anything.
            None => match name {
                Cow::Borrowed(name) => Figure::Nothing.label(name),
                Cow::Owned(name) if name == "events_count" => Figure::Nothing.label(name),
                Cow::Owned(name) => name.replace('_', " "),
            },
        };
        self.names.iter().enumerate().map(label).collect()
    }

    fn is_number(&self, column: usize) -> bool {
        self.rows.iter().all(|row| row[column].is_number())
    }
}

impl Serialize for Table {
    /// An array of objects.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.rows())
    }
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.names.iter().zip(self.figures))
    }
}

impl Row<'_> {
    /// The row as fields of an object.
    pub(crate) fn fill(&self, object: &mut Object<'_>) {
        for (name, figure) in self.names.iter().zip(self.figures) {
            object.value(name, figure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&["name", "keys_count"]);
        table.row(vec![Figure::text_of("users"), Figure::Count(12_345)]);
        table.row(vec![Figure::text_of("s"), Figure::Count(1)]);
        table
    }

    #[test]
    fn numbers_stand_right_and_text_left() {
        assert_eq!(sample().aligned(), "name     keys\nusers  12,345\ns           1\n");
        let framed = sample().framed();
        assert!(framed.contains("┆   keys │") && framed.contains("┆ 12,345 │"), "{framed}");
    }

    #[test]
    fn rows_are_objects() {
        let mut line = Vec::new();
        for row in sample().rows() {
            let mut object = Object::open(&mut line);
            row.fill(&mut object);
            object.close();
        }
        let text = String::from_utf8(line).unwrap();
        assert_eq!(text, r#"{"name":"users","keys_count":12345}{"name":"s","keys_count":1}"#);
    }
}
