//! `annals tables`: the event tables of a database.

use super::open;
use crate::{
    command::Command,
    failure::Result,
    moment,
    output::{Figure, Form, Table, brief, tell},
    session::Session,
};
use annals::{Database, KeyspaceKind, Scan, TableView, columns::Value};

/// Lists the event tables.
#[derive(Debug)]
pub(crate) struct Tables;

impl Command for Tables {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.reader()?;
        let stats = db.stats();
        let mut listed = Table::new(&[
            "table",
            "events_count",
            "parts_count",
            "fresh_count",
            "fields_count",
            "live_bytes",
            "from",
            "to",
        ]);
        let mut failed = None;
        for info in db.keyspaces() {
            if info.kind != KeyspaceKind::Table {
                continue;
            }
            let figures = stats.keyspaces.iter().find(|stats| stats.name == info.name);
            let live_bytes = figures.map_or(0, |stats| stats.live_bytes);
            let row = row(&db, &info.name, live_bytes).unwrap_or_else(|failure| {
                let name = brief(info.name.as_bytes());
                failed.get_or_insert(failure.context(&format!("the event table `{name}`")));
                unread(live_bytes)
            });
            listed.row([vec![Figure::text_of(&*info.name)], row].concat());
        }
        if listed.is_empty() {
            // A program sees that nothing came.
            if session.form() != Form::Json {
                tell("annals: the database has no event tables");
            }
            return Ok(());
        }
        session.out.table(&listed)?;
        // What could be read of the others is told all the same.
        failed.map_or(Ok(()), Err)
    }
}

/// The figures of a table, without its name.
fn row(db: &Database, name: &str, live_bytes: u64) -> Result<Vec<Figure>> {
    let table = open(db, name)?;
    let view = match table.view() {
        // Nobody has said yet what its events are.
        Err(annals::Error::NoSchema { .. }) => return Ok(unread(live_bytes)),
        view => view?,
    };
    Ok(vec![
        Figure::Count(super::counted(&view)?),
        Figure::Count(view.parts_count() as u64),
        Figure::Count(view.fresh_len()),
        Figure::Count(view.schema().fields().len() as u64),
        Figure::Bytes(live_bytes),
        end(&view, &Scan::new())?,
        end(&view, &Scan::new().newest_first())?,
    ])
}

/// The same of a table that cannot be read.
fn unread(live_bytes: u64) -> Vec<Figure> {
    let mut row = vec![Figure::Nothing; 7];
    row[4] = Figure::Bytes(live_bytes);
    row
}

/// The time of the first event of a scan.
fn end(view: &TableView<'_>, scan: &Scan) -> Result<Figure> {
    let Some(ts) = view.schema().ts() else { return Ok(Figure::Nothing) };
    let found = view.scan(&scan.clone().limit(1))?;
    Ok(match (!found.is_empty()).then(|| found.value(0, ts)) {
        Some(Value::I64(ns)) => Figure::Text(moment::text(ns)),
        _ => Figure::Nothing,
    })
}
