//! DuckDB, in a Python process of its own: its native build takes the better part of an hour on two cores. What is
//! timed is timed there, around each statement and the fetching of its rows.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::sql::{self, COLUMNS, Cell, ROLLUP};
use crate::engine::Mode;
use crate::question::Question;
use crate::table_engine::{TableEngine, Timed};
use crate::wide::Wide;
use crate::{Error, Result};

const QUANTILES: &str = "SELECT model, q[1], q[2] FROM (SELECT model, quantile_disc(latency, [0.5, 0.99]) AS q \
     FROM events GROUP BY model)";
const DRIVER: &str = include_str!("duckdb.py");

/// A database in another process.
pub(crate) struct DuckDb {
    dir: PathBuf,
    process: Mutex<Process>,
}

struct Process {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Process {
    /// Runs a statement: how long it took, and its rows.
    fn run(&mut self, sql: &str) -> Result<(Duration, Vec<Vec<Cell>>)> {
        writeln!(self.to, "{}", Value::from(sql))?;
        self.to.flush()?;
        let told = self.read()?;
        if let Some(error) = told["error"].as_str() {
            return Err(format!("DuckDB: {error}").into());
        }
        let seconds = told["seconds"].as_f64().ok_or("DuckDB tells no time")?;
        let rows = told["rows"].as_array().ok_or("DuckDB tells no rows")?;
        let rows =
            rows.iter().map(|row| row.as_array().ok_or("no row")?.iter().map(cell).collect());
        Ok((Duration::from_secs_f64(seconds), rows.collect::<Result<_>>()?))
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        if line.is_empty() {
            return Err("the process of DuckDB ended".into());
        }
        Ok(serde_json::from_str(&line).map_err(|_| format!("DuckDB says {line:?}"))?)
    }
}

fn cell(value: &Value) -> Result<Cell> {
    match value {
        Value::Number(number) => Ok(Cell::Number(
            number.as_i64().ok_or_else(|| format!("{number} is no whole number"))?.into(),
        )),
        Value::String(text) => Ok(Cell::Text(text.clone())),
        other => Err(format!("{other} is neither a number nor a text").into()),
    }
}

fn python() -> String {
    std::env::var("BENCH_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

impl DuckDb {
    fn run(&self, sql: &str) -> Result<(Duration, Vec<Vec<Cell>>)> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).run(sql)
    }

    /// Writes events to a file that DuckDB reads.
    fn write(&self, name: &str, events: impl Iterator<Item = Wide>) -> Result<PathBuf> {
        let path = self.dir.join(name);
        let mut file = BufWriter::new(File::create(&path)?);
        for event in events {
            let numbers = event.numbers().map(|number| number.to_string());
            writeln!(file, "{},{}", numbers.join(","), event.texts().join(","))?;
        }
        file.flush()?;
        Ok(path)
    }
}

impl TableEngine for DuckDb {
    const NAME: &'static str = "duckdb";
    const PACKAGE: &'static str = "";
    const BUFFERED: &'static str = "as Sync: there is nothing below it for a database on a disk";
    const SYNC: &'static str = "default: the log is synced at each commit";
    const SETTINGS: &'static str = "the Python package of the name, in a process of its own, timed there around \
         each statement and `fetchall`; 2 threads; no index: rows are loaded in the order of their times, so \
         zones serve those who ask for a time; sums by day and user in a table of their own, which has an index; \
         what is appended lies in a table in memory before the clock runs";

    fn library() -> Option<String> {
        let version = "import duckdb; print(duckdb.__version__)";
        let output = Command::new(python()).args(["-c", version]).output().ok()?;
        let version = String::from_utf8(output.stdout).ok()?;
        Some(if output.status.success() {
            format!("DuckDB {}", version.trim())
        } else {
            "no DuckDB: `pip install duckdb`".to_owned()
        })
    }

    fn open(dir: &Path, _mode: Mode) -> Result<Self> {
        let mut child = Command::new(python())
            .args(["-c", DRIVER])
            .arg(dir.join("tables.duckdb"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let to = child.stdin.take().ok_or("no standard input")?;
        let from = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut process = Process { child, to, from };
        process.read().map_err(|_| "no DuckDB: `pip install duckdb`")?;
        process.run(&format!("CREATE TABLE IF NOT EXISTS events ({COLUMNS})"))?;
        Ok(Self { dir: dir.to_owned(), process: Mutex::new(process) })
    }

    fn prepare(&self, batches: &[Vec<Wide>]) -> Result<()> {
        for (number, batch) in batches.iter().enumerate() {
            let path = self.write("batch.csv", batch.iter().cloned())?;
            self.run(&format!("CREATE TEMP TABLE IF NOT EXISTS batch{number} ({COLUMNS})"))?;
            self.run(&format!("DELETE FROM batch{number}"))?;
            self.run(&format!("COPY batch{number} FROM '{}' (HEADER false)", path.display()))?;
            fs::remove_file(path)?;
        }
        Ok(())
    }

    fn append(&self, number: usize, _batch: &[Wide]) -> Result<Duration> {
        Ok(self.run(&format!("INSERT INTO events SELECT * FROM batch{number}"))?.0)
    }

    fn load(&self, total: u64) -> Result<()> {
        let path = self.write("load.csv", (0..total).map(|number| Wide::of(number, total)))?;
        self.run(&format!("COPY events FROM '{}' (HEADER false)", path.display()))?;
        fs::remove_file(path)?;
        // Whole days: `/` divides to a fraction here.
        self.run(&ROLLUP.replace("ts / ", "ts // "))?;
        self.run("CHECKPOINT").map(|_| ())
    }

    fn ask(&self, questions: &[Question]) -> Result<Option<Vec<Timed>>> {
        let mut answers = Vec::with_capacity(questions.len());
        for question in questions {
            let sql = match question {
                Question::Quantiles => Some(QUANTILES.to_owned()),
                other => sql::of(*other).map(|sql| sql.replace("ts / ", "ts // ")),
            };
            let Some(sql) = sql else { return Ok(None) };
            let (took, rows) = self.run(&sql)?;
            answers.push((took, sql::answer(*question, &rows)?));
        }
        Ok(Some(answers))
    }

    fn close(self) -> Result<()> {
        let process = self.process.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Process { mut child, to, .. } = process;
        drop(to);
        let status = child.wait()?;
        if status.success() { Ok(()) } else { Err(Error::from(format!("DuckDB: {status}"))) }
    }
}
