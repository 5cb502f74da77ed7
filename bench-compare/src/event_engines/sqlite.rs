//! SQLite in process: one table of events, as it is put together by hand where there is no event store.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use crate::Result;
use crate::engine::Mode;
use crate::event::{Event, Seen, TYPE};
use crate::event_engine::{Ability, EventEngine, EventJob, EventReader, Expected, NO_EVENT, Total};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS events (
        seq INTEGER PRIMARY KEY, stream INTEGER NOT NULL, version INTEGER NOT NULL,
        type TEXT NOT NULL, data BLOB NOT NULL, UNIQUE (stream, version));
    CREATE TABLE IF NOT EXISTS totals (
        stream INTEGER PRIMARY KEY, events INTEGER NOT NULL, quantity INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS checkpoint (id INTEGER PRIMARY KEY, seq INTEGER NOT NULL);
    INSERT OR IGNORE INTO checkpoint VALUES (0, 0);";
/// 256 MiB of cache, all reads through the map, and a log of up to 64 MiB.
const SETTINGS: &str = "
    PRAGMA cache_size = -262144;
    PRAGMA mmap_size = 17179869184;
    PRAGMA wal_autocheckpoint = 16384;";
const LENGTH: &str = "SELECT COALESCE(MAX(version) + 1, 0) FROM events WHERE stream = ?";
const INSERT: &str = "INSERT INTO events (stream, version, type, data) VALUES (?, ?, ?, ?)";

/// A database with one connection that writes; each reader opens its own.
pub(crate) struct Sqlite {
    file: PathBuf,
    writer: Mutex<Connection>,
}

impl Sqlite {
    /// Does `change` in one transaction of the connection that writes.
    fn commit(&self, change: impl FnOnce(&Connection) -> Result<()>) -> Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let txn = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        change(&txn)?;
        Ok(txn.commit()?)
    }
}

impl EventEngine for Sqlite {
    const NAME: &'static str = "sqlite";
    const PACKAGE: &'static str = "rusqlite";
    const BUFFERED: &'static str = "WAL, `synchronous = NORMAL`: a commit is written to the log, which is \
         synced when it is copied into the database";
    const SYNC: &'static str = "WAL, `synchronous = FULL`: the log is synced at each commit";
    const SETTINGS: &'static str = "table of place, stream, version, type and bytes, unique by stream and \
         version; one connection that writes, behind a mutex, and one for each reader, which stays in one \
         transaction; statements are kept prepared; a cache of 256 MiB, reads through a map, the log copied \
         at 64 MiB; an append reads the stream's version, compares it, and inserts, in one immediate \
         transaction; a projection reads a batch, adds it to a table and moves its place in one transaction";
    const LACKS: &'static [Ability] = &[Ability::Follow, Ability::FollowAwake];

    fn library() -> Option<String> {
        Some(format!("SQLite {}", rusqlite::version()))
    }

    fn open(dir: &Path, mode: Mode) -> Result<Self> {
        let file = dir.join("events.sqlite");
        let writer = Connection::open(&file)?;
        let journal: String =
            writer.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if journal != "wal" {
            return Err(format!("the journal is {journal}").into());
        }
        let synchronous = match mode {
            Mode::Buffered => "NORMAL",
            Mode::Sync => "FULL",
        };
        writer
            .execute_batch(&format!("PRAGMA synchronous = {synchronous}; {SETTINGS} {SCHEMA}"))?;
        Ok(Self { file, writer: Mutex::new(writer) })
    }

    fn append(&self, stream: u64, events: &[Event], expected: Expected) -> Result<()> {
        self.commit(|txn| {
            let length: u64 =
                txn.prepare_cached(LENGTH)?.query_row([stream as i64], |row| row.get(0))?;
            if expected != Expected::Any && expected != Expected::Events(length) {
                return Err(format!("the stream has {length} events").into());
            }
            let mut insert = txn.prepare_cached(INSERT)?;
            for (version, event) in (length..).zip(events) {
                insert.execute(params![stream as i64, version, TYPE, &event.encode()[..]])?;
            }
            Ok(())
        })
    }

    fn append_across(&self, streams: &[u64], events: &[Event]) -> Result<()> {
        self.commit(|txn| {
            let mut length = txn.prepare_cached(LENGTH)?;
            let mut insert = txn.prepare_cached(INSERT)?;
            for (stream, event) in streams.iter().zip(events) {
                let stream = *stream as i64;
                let version: u64 = length.query_row([stream], |row| row.get(0))?;
                insert.execute(params![stream, version, TYPE, &event.encode()[..]])?;
            }
            Ok(())
        })
    }

    fn read<J: EventJob>(&self, job: &mut J) -> Result<()> {
        let connection = Connection::open(&self.file)?;
        connection.execute_batch(SETTINGS)?;
        connection.execute_batch("BEGIN")?;
        let events = |rest: &str| connection.prepare(&format!("SELECT data FROM events {rest}"));
        job.run(&mut Reader {
            get: events("WHERE stream = ? AND version = ?")?,
            get_at: events("WHERE seq = ?")?,
            all: events("ORDER BY seq")?,
            stream: events("WHERE stream = ? ORDER BY version")?,
            stream_back: events("WHERE stream = ? ORDER BY version DESC")?,
        })
    }

    fn count_streams(&self) -> Result<u64> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let count = "SELECT COUNT(DISTINCT stream) FROM events";
        Ok(writer.query_row(count, [], |row| row.get(0))?)
    }

    fn project(&self, events: u64, batch: usize) -> Result<()> {
        let mut done = 0;
        while done < events {
            let limit = events.min(done + batch as u64) - done;
            self.commit(|txn| {
                let mut read = txn.prepare_cached(
                    "SELECT seq, stream, data FROM events
                     WHERE seq > (SELECT seq FROM checkpoint) ORDER BY seq LIMIT ?",
                )?;
                let mut add = txn.prepare_cached(
                    "INSERT INTO totals VALUES (?, 1, ?) ON CONFLICT (stream)
                     DO UPDATE SET events = events + 1, quantity = quantity + excluded.quantity",
                )?;
                let mut last: i64 = 0;
                let mut rows = read.query([limit])?;
                while let Some(row) = rows.next()? {
                    last = row.get(0)?;
                    let quantity = seen(row, 2)?.quantity();
                    add.execute(params![row.get::<_, i64>(1)?, quantity])?;
                    done += 1;
                }
                if last == 0 {
                    return Err(format!("there are only {done} events").into());
                }
                txn.prepare_cached("UPDATE checkpoint SET seq = ?")?.execute([last])?;
                Ok(())
            })?;
        }
        Ok(())
    }

    fn total(&self, stream: u64) -> Result<Total> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut total =
            writer.prepare_cached("SELECT events, quantity FROM totals WHERE stream = ?")?;
        let total = total.query_row([stream as i64], |row| {
            Ok(Total { events: row.get(0)?, quantity: row.get(1)? })
        });
        Ok(total.optional()?.unwrap_or_default())
    }

    fn close(self) -> Result<()> {
        let writer = self.writer.into_inner().unwrap_or_else(PoisonError::into_inner);
        writer.close().map_err(|(_, error)| error.into())
    }
}

/// The event in a column of `row`.
#[inline]
fn seen<'a>(row: &'a Row<'_>, column: usize) -> Result<Seen<'a>> {
    match row.get_ref(column)? {
        ValueRef::Blob(bytes) => Seen::decode(bytes).ok_or_else(|| NO_EVENT.into()),
        _ => Err(NO_EVENT.into()),
    }
}

struct Reader<'a> {
    get: rusqlite::Statement<'a>,
    get_at: rusqlite::Statement<'a>,
    all: rusqlite::Statement<'a>,
    stream: rusqlite::Statement<'a>,
    stream_back: rusqlite::Statement<'a>,
}

impl EventReader for Reader<'_> {
    fn get<T>(
        &mut self,
        stream: u64,
        version: u64,
        show: impl FnOnce(Seen<'_>) -> T,
    ) -> Result<Option<T>> {
        one(self.get.query(params![stream as i64, version])?, show)
    }

    fn get_at<T>(&mut self, place: u64, show: impl FnOnce(Seen<'_>) -> T) -> Result<Option<T>> {
        one(self.get_at.query([place + 1])?, show)
    }

    fn all(&mut self, show: impl FnMut(Seen<'_>)) -> Result<()> {
        every(self.all.query([])?, show)
    }

    fn stream(&mut self, stream: u64, show: impl FnMut(Seen<'_>)) -> Result<()> {
        every(self.stream.query([stream as i64])?, show)
    }

    fn stream_back(&mut self, stream: u64, show: impl FnMut(Seen<'_>)) -> Result<()> {
        every(self.stream_back.query([stream as i64])?, show)
    }
}

fn one<T>(mut rows: rusqlite::Rows<'_>, show: impl FnOnce(Seen<'_>) -> T) -> Result<Option<T>> {
    rows.next()?.map(|row| Ok(show(seen(row, 0)?))).transpose()
}

fn every(mut rows: rusqlite::Rows<'_>, mut show: impl FnMut(Seen<'_>)) -> Result<()> {
    while let Some(row) = rows.next()? {
        show(seen(row, 0)?);
    }
    Ok(())
}
