//! What is done to the event tables of a simulated machine, and to those of the model.

use crate::{
    model::{Contents, Level, Stored},
    tables::{Call, LongerCall, id_of},
    world::{Done, Stop, World},
};
use annals_columns::Batch;
use annals_engine::{Database, Error, EventTable, WriteBatch};
use std::sync::Arc;

/// What happens to a table together with other writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    pub(crate) table: u8,
    /// So many events are appended, in two batches if it is an odd number.
    pub(crate) count: u8,
    /// The length of each one's note.
    pub(crate) len: u16,
    /// So many ids are deleted, chosen by this number.
    pub(crate) gone: u8,
    pub(crate) which: u64,
}

/// What is done to what a table has, which changes none of its events.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tidying {
    Flush,
    Merge,
    Extend,
}

impl World {
    pub(crate) fn table_name(table: u8) -> String {
        format!("table-{table}")
    }

    /// The table, which is made if it is not there.
    pub(crate) fn table(&mut self, table: u8) -> Result<EventTable, Stop> {
        let name = Self::table_name(table);
        if !self.model.now().contains_key(&name) {
            let mut state = Contents::clone(self.model.now());
            state.insert(name.clone(), Default::default());
            let (sim, life) = (self.sim.clone(), Arc::clone(self.life()));
            self.commit(state, &[], None, |db| match db.table_of::<Call>(&name) {
                // It is there, without a schema.
                Err(_)
                    if !(sim.is_power_cut() || life.is_over())
                        && db.keyspaces().iter().any(|info| info.name == name) =>
                {
                    Ok(None)
                }
                made => made.map(|_| None),
            })?;
        }
        let made = self.db().table_of::<Call>(&name);
        made.map_err(|error| self.stop("open a table", &error))
    }

    /// Adds to a batch of writes what happens to a table; changes the state so.
    pub(crate) fn rows_in(
        &mut self,
        batch: &mut WriteBatch,
        state: &mut Contents,
        rows: &Rows,
    ) -> Done {
        let table = self.table(rows.table)?;
        let records = state.entry(Self::table_name(rows.table)).or_default();
        if rows.gone > 0 {
            let ids: Vec<String> = (0..u64::from(rows.gone))
                .filter_map(|n| {
                    let at = rows.which.wrapping_add(7 * n) as usize % records.len().max(1);
                    records.keys().nth(at).map(|key| id_of(key))
                })
                .chain(["nobody".to_owned()])
                .collect();
            records.retain(|key, _| !ids.contains(&id_of(key)));
            batch.delete_events(&table, &ids).expect("events have ids");
        }
        let mut events = Batch::of::<Call>();
        for n in 0..rows.count {
            self.writes_count += 1;
            let event = Call::numbered(self.writes_count, rows.len.into());
            let stored = Stored { value: event.value().into(), expires_ms: None };
            records.insert(event.key(), stored);
            events.push(&event).expect("short enough");
            if rows.count % 2 == 1 && n == rows.count / 2 {
                batch.append_rows(&table, &events).expect("small enough");
                events = Batch::of::<Call>();
            }
        }
        batch.append_rows(&table, &events).expect("small enough");
        Ok(())
    }

    pub(crate) fn change_table(&mut self, rows: &Rows, level: Option<Level>) -> Done {
        let mut batch = self.db().batch();
        if let Some(level) = level {
            batch = batch.durability(level.durability());
        }
        self.table(rows.table)?;
        let mut state = Contents::clone(self.model.now());
        self.rows_in(&mut batch, &mut state, rows)?;
        self.commit_if_any(state, level, |_| Ok(batch.commit()?.is_some()))
    }

    /// Does a commit, unless there is nothing to be written: then it makes nothing durable either.
    pub(crate) fn commit_if_any(
        &mut self,
        state: Contents,
        level: Option<Level>,
        act: impl FnOnce(&Database) -> Result<bool, Error>,
    ) -> Done {
        self.model.attempt(state, 0);
        let is_any = act(&self.db()).map_err(|error| self.stop("commit", &error))?;
        let level = level.unwrap_or(self.setup.level);
        self.model.acknowledge(if is_any { level } else { Level::Buffered });
        Ok(())
    }

    pub(crate) fn tidy_table(&mut self, table: u8, tidying: Tidying) -> Done {
        let handle = self.table(table)?;
        let done: Result<(), Error> = match tidying {
            Tidying::Flush => handle.flush().map(drop),
            Tidying::Merge => handle.merge_parts().map(drop),
            Tidying::Extend => self.db().table_of::<LongerCall>(&Self::table_name(table)).map(drop),
        };
        done.map_err(|error| self.stop("tidy a table", &error))
    }

    /// Drops all events for their age.
    pub(crate) fn drop_parts(&mut self, table: u8) -> Done {
        self.tidy_table(table, Tidying::Flush)?;
        let handle = self.table(table)?;
        let name = Self::table_name(table);
        let mut state = Contents::clone(self.model.now());
        let count = state.insert(name, Default::default()).map_or(0, |records| records.len());
        let mut dropped = 0;
        self.commit_if_any(state, None, |_| {
            dropped = handle.gc(i64::MAX)?.events_count;
            Ok(dropped > 0)
        })?;
        if dropped == count as u64 {
            return Ok(());
        }
        Err(Stop::Violation(format!("{dropped} events were dropped of {count}")))
    }

    pub(crate) fn drop_table(&mut self, table: u8) -> Done {
        let name = Self::table_name(table);
        if !self.model.now().contains_key(&name) {
            return self.table(table).map(drop);
        }
        let mut state = Contents::clone(self.model.now());
        state.remove(&name);
        self.commit(state, &[], None, |db| db.drop_keyspace(&name).map(|()| None))
    }
}
