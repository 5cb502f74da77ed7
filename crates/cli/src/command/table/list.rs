//! `annals tables`: the event tables of a database.

use super::open;
use crate::{
    command::Command,
    failure::Result,
    moment,
    output::{Figure, Form, Table},
    session::Session,
};
use annals::{KeyspaceKind, Scan, TableView, columns::Value};

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
        for info in db.keyspaces() {
            if info.kind != KeyspaceKind::Table {
                continue;
            }
            let table = open(&db, &info.name)?;
            let view = table.view()?;
            let figures = stats.keyspaces.iter().find(|stats| stats.name == info.name);
            listed.row(vec![
                Figure::text_of(&*info.name),
                Figure::Count(view.len()),
                Figure::Count(view.parts_count() as u64),
                Figure::Count(view.fresh_len()),
                Figure::Count(view.schema().fields().len() as u64),
                Figure::Bytes(figures.map_or(0, |stats| stats.live_bytes)),
                end(&view, &Scan::new())?,
                end(&view, &Scan::new().newest_first())?,
            ]);
        }
        if listed.is_empty() {
            // A program sees that nothing came.
            if session.form() != Form::Json {
                eprintln!("annals: the database has no event tables");
            }
            return Ok(());
        }
        session.out.table(&listed)
    }
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
