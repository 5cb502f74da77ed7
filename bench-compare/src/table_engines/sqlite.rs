//! SQLite in process: one table, indexed as those who ask such questions of it do.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ToSql, TransactionBehavior};

use super::sql::{self, COLUMNS, Cell, ROLLUP};
use crate::Result;
use crate::engine::Mode;
use crate::question::Question;
use crate::table_engine::{TableEngine, Timed};
use crate::wide::Wide;

const INDEXES: &str = "
    CREATE INDEX IF NOT EXISTS by_time ON events (ts);
    CREATE INDEX IF NOT EXISTS by_user ON events (usr, ts);
    CREATE UNIQUE INDEX IF NOT EXISTS by_id ON events (id);";
/// 512 MiB of cache, all reads through the map, and a log of up to 64 MiB.
const SETTINGS: &str = "
    PRAGMA cache_size = -524288;
    PRAGMA mmap_size = 17179869184;
    PRAGMA wal_autocheckpoint = 16384;
    PRAGMA temp_store = MEMORY;";
const INSERT: &str =
    "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
/// Events of a commit of the load.
const LOADED: u64 = 50_000;

/// A database with one connection.
pub(crate) struct SqliteTables {
    connection: Mutex<Connection>,
}

impl SqliteTables {
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert<'e>(&self, events: impl Iterator<Item = &'e Wide>) -> Result<()> {
        let mut connection = self.connection();
        let txn = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut insert = txn.prepare_cached(INSERT)?;
        for event in events {
            let (numbers, texts) = (event.numbers(), event.texts());
            let numbers = numbers.iter().map(|number| number as &dyn ToSql);
            let values: Vec<_> =
                numbers.chain(texts.iter().map(|text| text as &dyn ToSql)).collect();
            insert.execute(&values[..])?;
        }
        drop(insert);
        Ok(txn.commit()?)
    }
}

impl TableEngine for SqliteTables {
    const NAME: &'static str = "sqlite-tables";
    const PACKAGE: &'static str = "rusqlite";
    const BUFFERED: &'static str = "WAL, `synchronous = NORMAL`: a commit is written to the log, which is \
         synced when it is copied into the database";
    const SYNC: &'static str = "WAL, `synchronous = FULL`: the log is synced at each commit";
    const SETTINGS: &'static str = "indexes by time, by user and time, and by id (unique), which the appends \
         keep up; of what is loaded they are made afterwards; sums by day and user in a table of their own; \
         one connection behind a mutex; statements are kept prepared; a cache of 512 MiB, reads through a \
         map; `ANALYZE` after the load";

    fn library() -> Option<String> {
        Some(format!("SQLite {}", rusqlite::version()))
    }

    fn open(dir: &Path, mode: Mode) -> Result<Self> {
        let connection = Connection::open(dir.join("tables.sqlite"))?;
        let journal: String =
            connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if journal != "wal" {
            return Err(format!("the journal is {journal}").into());
        }
        let synchronous = match mode {
            Mode::Buffered => "NORMAL",
            Mode::Sync => "FULL",
        };
        connection.execute_batch(&format!(
            "PRAGMA synchronous = {synchronous}; {SETTINGS}
             CREATE TABLE IF NOT EXISTS events ({COLUMNS}); {INDEXES}"
        ))?;
        connection.set_prepared_statement_cache_capacity(512);
        Ok(Self { connection: Mutex::new(connection) })
    }

    fn append(&self, _number: usize, batch: &[Wide]) -> Result<Duration> {
        let started = Instant::now();
        self.insert(batch.iter())?;
        Ok(started.elapsed())
    }

    fn load(&self, total: u64) -> Result<()> {
        let drop = "DROP INDEX by_time; DROP INDEX by_user; DROP INDEX by_id;";
        self.connection().execute_batch(drop)?;
        for first in (0..total).step_by(LOADED as usize) {
            let events: Vec<_> =
                (first..total.min(first + LOADED)).map(|number| Wide::of(number, total)).collect();
            self.insert(events.iter())?;
        }
        self.connection().execute_batch(&format!(
            "{INDEXES} {ROLLUP}; ANALYZE; PRAGMA wal_checkpoint(TRUNCATE);"
        ))?;
        Ok(())
    }

    fn ask(&self, questions: &[Question]) -> Result<Option<Vec<Timed>>> {
        let connection = self.connection();
        let mut answers = Vec::with_capacity(questions.len());
        for question in questions {
            let Some(sql) = sql::of(*question) else { return Ok(None) };
            // Prepared before the clock runs, as with parameters.
            let mut statement = connection.prepare_cached(&sql)?;
            let columns = statement.column_count();
            let started = Instant::now();
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let cells = (0..columns).map(|column| {
                    Ok(match row.get_ref(column)? {
                        ValueRef::Integer(number) => Cell::Number(number.into()),
                        ValueRef::Text(text) => Cell::Text(std::str::from_utf8(text)?.to_owned()),
                        _ => return Err("neither a number nor a text".into()),
                    })
                });
                found.push(cells.collect::<Result<Vec<_>>>()?);
            }
            let took = started.elapsed();
            answers.push((took, sql::answer(*question, &found)?));
        }
        Ok(Some(answers))
    }

    fn close(self) -> Result<()> {
        let connection = self.connection.into_inner().unwrap_or_else(PoisonError::into_inner);
        connection.close().map_err(|(_, error)| error.into())
    }
}
