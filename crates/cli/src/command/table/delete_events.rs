//! `annals delete-events`: events of a table go, by their ids.

use super::{no_ids, open};
use crate::{
    command::{Command, load},
    failure::{Failure, Result},
    input::Input,
    lines::{KeyRule, Lines},
    output::{Report, brief},
    session::Session,
};
use annals::EventTable;
use std::collections::BTreeSet;

/// So many ids a commit.
const IDS_A_COMMIT: usize = 65_536;

/// Which events go.
#[derive(Debug)]
pub(crate) enum Ids {
    Named(Vec<String>),
    /// One a line.
    StandardInput,
}

/// Deletes events.
#[derive(Debug)]
pub(crate) struct DeleteEvents {
    pub(crate) table: String,
    pub(crate) ids: Ids,
}

/// What was done so far.
#[derive(Debug, Default)]
struct Done {
    ids_count: u64,
    absent_count: u64,
    deleted_count: u64,
    /// The first id that no event has.
    absent: Option<String>,
}

impl Command for DeleteEvents {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.existing_writer()?;
        let table = open(&db, &self.table)?;
        if table.schema()?.event_id().is_none() {
            return Err(no_ids(&self.table));
        }
        let mut done = Done::default();
        match self.ids {
            Ids::Named(ids) => done.delete(&table, ids.into_iter().collect())?,
            Ids::StandardInput => done.delete_lines(&table)?,
        }
        let left = table.view()?.len();
        db.close()?;
        if done.deleted_count == 0 {
            return Err(done.nothing(&self.table));
        }
        let mut report = Report::default();
        report
            .count("events_deleted_count", done.deleted_count)
            .count("ids_not_found_count", done.absent_count)
            .count("events_left_count", left);
        session.out.report(&report)
    }
}

impl Done {
    /// Deletes the events with these ids, in one commit.
    fn delete(&mut self, table: &EventTable, ids: BTreeSet<String>) -> Result<()> {
        // Nobody else deletes: this process has the database for itself.
        let view = table.view()?;
        for id in &ids {
            if view.event(id)?.is_none() {
                self.absent_count += 1;
                self.absent.get_or_insert_with(|| id.clone());
            }
        }
        self.ids_count += ids.len() as u64;
        self.deleted_count += table.delete_events(ids)?;
        Ok(())
    }

    /// The same of lines, many a commit.
    fn delete_lines(&mut self, table: &EventTable) -> Result<()> {
        let (input, _) = Input::Standard.open()?;
        let (mut lines, mut ids) = (Lines::new(input, KeyRule::Nothing), BTreeSet::new());
        loop {
            let line = lines.next().map_err(load::explain)?;
            let Some(id) = line.map(|line| std::str::from_utf8(line.value).map(str::to_owned))
            else {
                break;
            };
            let id = id.map_err(|_| {
                let (here, before) = (load::here(&lines), self.deleted_count);
                Failure::usage(format!(
                    "{here}: ids are UTF-8, and this is none; {before} events of ids before it are deleted"
                ))
            })?;
            ids.insert(id);
            if ids.len() >= IDS_A_COMMIT {
                self.delete(table, std::mem::take(&mut ids))?;
            }
        }
        self.delete(table, ids)
    }

    fn nothing(&self, table: &str) -> Failure {
        let table = brief(table.as_bytes());
        Failure::not_found(match (&self.absent, self.ids_count) {
            (None, _) => "no ids came".to_owned(),
            (Some(id), 1) => format!("the table `{table}` has no event `{}`", brief(id.as_bytes())),
            (Some(id), count) => format!(
                "the table `{table}` has no event of these {count} ids, of which one is `{}`",
                brief(id.as_bytes())
            ),
        })
    }
}
