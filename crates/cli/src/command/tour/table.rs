//! The main act: the input as events of a table, asked, and read back after a kill.
//!
//! Each step runs the command that it prints, in a process of its own, and holds what that answers against the input.

use super::{
    Stage, broken,
    kill::{child_command, feed, kill_when_busy},
    teller::quote,
};
use crate::{clock::Stopwatch, failure::Result, ingest::Format, output::Report, units};
use annals::columns::{Role, Schema};
use serde_json::Value;
use std::{
    io::Write,
    process::{Command, Stdio},
    thread,
    time::UNIX_EPOCH,
};

/// The table, and the one whose writer is killed.
const TABLE: &str = "tour-events";
const KILLED: &str = "killed-events";

/// Events a commit of the child that is killed.
const BATCH_EVENTS: u64 = 100;

/// Lines that tell the format.
const LOOK_LINES: usize = 200;

/// The events of the tour.
pub(super) struct Act {
    /// The input's own format; `None` where objects are made of it.
    format: Option<Format>,
    /// The lines, if they are not those of the input.
    lines: Vec<Vec<u8>>,
    events_count: u64,
}

impl Act {
    pub(super) fn new(stage: &Stage<'_>) -> Self {
        let records = stage.input.records();
        let lines = records.iter().map(|(_, line)| line.as_slice()).filter(|line| !line.is_empty());
        let is_file = !stage.input.is_directory();
        let format =
            is_file.then(|| Format::detect(&lines.take(LOOK_LINES).collect::<Vec<_>>())).flatten();
        let lines = if format.is_some() { Vec::new() } else { about(stage) };
        Self { format, lines, events_count: 0 }
    }

    /// The lines of events.
    fn lines<'a>(&'a self, stage: &'a Stage<'_>) -> Box<dyn Iterator<Item = &'a [u8]> + Send + 'a> {
        match self.format {
            Some(_) => Box::new(stage.input.records().iter().map(|(_, line)| line.as_slice())),
            None => Box::new(self.lines.iter().map(Vec::as_slice)),
        }
    }

    /// Loads the events.
    pub(super) fn ingest(&mut self, stage: &mut Stage<'_>) -> Result<()> {
        let step = "ingest";
        let rejects = stage.scratch.join("rejected");
        let path = stage.input.path().to_owned();
        let mut command = child(stage, step)?;
        command.args(["ingest", TABLE]).arg("--rejects").arg(&rejects);
        let clock = Stopwatch::start();
        let told = match self.format {
            Some(_) => answer(command.arg(&path), step, std::iter::empty())?,
            None => answer(command.args(["-", "--format", "ndjson"]), step, self.lines(stage))?,
        };
        let seconds = clock.seconds();
        let told = told.first().cloned().unwrap_or_default();
        let count = |name: &str| told[name].as_u64().unwrap_or(0);
        let (events_count, rejected_count) = (count("events_count"), count("rejected_count"));
        // Records of a CSV file may have several lines, and a file may go on behind what is in memory.
        let is_known = self.format != Some(Format::Csv) && stage.input.left_out_count() == 0;
        let expected =
            self.lines(stage).filter(|line| !matches!(*line, b"" | b"\r")).count() as u64;
        if is_known && events_count + rejected_count != expected {
            let what = format!("{events_count} events and {rejected_count} rejected of {expected}");
            return Err(broken(step, what));
        }
        self.events_count = events_count;
        let schema = self.schema(stage)?;
        let mut report = Report::default();
        report
            .text_field("format", told["format"].as_str().unwrap_or_default())
            .count("events_count", events_count)
            .count("rejected_count", rejected_count)
            .count("fields_count", schema.fields().len() as u64)
            .rate("events_per_second", told["events_per_second"].as_f64().unwrap_or(0.0))
            .seconds("process_seconds", seconds);
        let ingest = match self.format {
            Some(_) => stage.teller.annals_writing(&format!("ingest {TABLE} {}", quote(&path))),
            None => {
                let ingest = stage.teller.annals_writing(&format!("ingest {TABLE} -"));
                format!("{} | {ingest} --format ndjson", stage.input.about_command())
            }
        };
        stage.teller.step(step, &report, &[ingest])
    }

    fn schema(&self, stage: &Stage<'_>) -> Result<std::sync::Arc<Schema>> {
        let db = stage.open_to_look(&stage.settings.data)?;
        Ok(db.open_table(TABLE)?.schema()?)
    }

    /// Counts the events, and sums up the first counter.
    pub(super) fn query(&self, stage: &mut Stage<'_>) -> Result<()> {
        let step = "query";
        let schema = self.schema(stage)?;
        let is_counter = |role: &Role| matches!(role, Role::CounterU32 | Role::CounterU64);
        let counter = schema.fields().iter().find(|field| is_counter(field.role()));
        let mut args = vec!["query".to_owned(), TABLE.to_owned()];
        for wish in ["--sum", "--avg", "--max"] {
            if let Some(counter) = counter {
                args.extend([wish.to_owned(), counter.name().to_owned()]);
            }
        }
        let (found, seconds) = self.ask(stage, step, &args)?;
        let first = found.first().cloned().unwrap_or_default();
        if first["events_count"].as_u64() != Some(self.events_count) {
            return Err(broken(step, format!("{first}, and {} were stored", self.events_count)));
        }
        let bytes: u64 = stage.input.records().iter().map(|(_, value)| value.len() as u64).sum();
        let is_made = self.format.is_none() && counter.is_some_and(|field| field.name() == "bytes");
        if is_made && first["sum_bytes"].as_u64() != Some(bytes) {
            return Err(broken(step, format!("{first}, and there are {bytes} bytes")));
        }
        let mut report = Report::default();
        report.count("events_count", self.events_count);
        if let Some(counter) = counter {
            let sum = &first[format!("sum_{}", counter.name())];
            report.text_field("sum", format!("{sum} {}", counter.name()));
        }
        report.seconds("process_seconds", seconds);
        let command = stage.teller.annals(&args.join(" "));
        stage.teller.step(step, &report, &[command])
    }

    /// The groups of a field, which are all events together.
    pub(super) fn group(&self, stage: &mut Stage<'_>) -> Result<()> {
        let step = "group";
        let schema = self.schema(stage)?;
        let rank = |role: &Role| match role {
            Role::Dimension(kind) if kind.has_bloom() => 0,
            Role::Dimension(_) => 1,
            Role::Status => 2,
            Role::CounterU32 | Role::CounterU64 => 3,
            _ => 4,
        };
        let by = schema.fields().iter().min_by_key(|field| rank(field.role()));
        let Some(by) = by.filter(|field| rank(field.role()) < 4) else { return Ok(()) };
        let args = ["query", TABLE, "--group-by", by.name()].map(str::to_owned);
        let (found, seconds) = self.ask(stage, step, &args)?;
        let counts = found.iter().map(|group| group["events_count"].as_u64().unwrap_or(0));
        if counts.clone().sum::<u64>() != self.events_count {
            return Err(broken(step, format!("the groups are not {} events", self.events_count)));
        }
        let mut report = Report::default();
        report
            .text_field("by", by.name())
            .count("groups_count", found.len() as u64)
            .count("largest_count", counts.max().unwrap_or(0))
            .seconds("process_seconds", seconds);
        let mut commands = vec![stage.teller.annals(&format!("{} --top 5 --plot", args.join(" ")))];
        if schema.ts().is_some() {
            let by_time = format!("query {TABLE} --bucket 1h --plot");
            commands.push(stage.teller.annals(&by_time));
        }
        stage.teller.step(step, &report, &commands)
    }

    /// The newest events, the newest first.
    pub(super) fn recent(&self, stage: &mut Stage<'_>) -> Result<()> {
        const WANTED: u64 = 10;
        let step = "recent";
        let schema = self.schema(stage)?;
        let args = ["recent", TABLE, "-n", "10"].map(str::to_owned);
        let (found, seconds) = self.ask(stage, step, &args)?;
        let count = found.len() as u64;
        let ts = schema.ts().map(|ts| schema.fields()[ts].name());
        let times: Vec<Option<i64>> = ts.map_or(Vec::new(), |ts| {
            found.iter().map(|event| crate::moment::parse(event[ts].as_str()?)).collect()
        });
        let is_sorted = times.is_sorted_by(|one, other| one.is_some() && one >= other);
        if count != self.events_count.min(WANTED) || !is_sorted {
            return Err(broken(step, format!("{count} events, or not in their order")));
        }
        let mut report = Report::default();
        report.count("events_count", count);
        if let (Some(ts), Some(newest)) = (ts, found.first()) {
            report.text_field("newest", newest[ts].as_str().unwrap_or_default());
        }
        report.seconds("process_seconds", seconds);
        let command = stage.teller.annals(&args.join(" "));
        stage.teller.step(step, &report, &[command])
    }

    /// A child that ingests is killed: what it acknowledged is there, in whole commits.
    pub(super) fn kill(&self, stage: &mut Stage<'_>) -> Result<()> {
        let step = "kill -9, ingesting";
        let cannot = |error| broken(step, format!("could not start the child: {error}"));
        let mut command = child_command(stage, "interval").map_err(cannot)?;
        let rejects = stage.scratch.join("rejected-of-killed");
        command.args(["ingest", KILLED, "-", "--progress-json"]).arg("--rejects").arg(rejects);
        command.args(["--batch", &BATCH_EVENTS.to_string()]).stderr(Stdio::null());
        let format = self.format.unwrap_or(Format::Ndjson).name();
        command.args(["--format", format]);
        let lines: Vec<&[u8]> = self.lines(stage).collect();
        let (acked, alive_seconds) =
            kill_when_busy(command, step, |stdin| feed(stdin, lines.iter().copied().cycle()))?;
        let clock = Stopwatch::start();
        let db = stage.open()?;
        let open_seconds = clock.seconds();
        let recovered = db.open_table(KILLED)?.view()?.len();
        db.close()?;
        if recovered < acked || recovered % BATCH_EVENTS != 0 {
            let what = format!("{acked} acknowledged in hundreds, {recovered} recovered");
            return Err(broken(step, what));
        }
        let mut report = Report::default();
        report
            .seconds("alive_seconds", alive_seconds)
            .count("acked_count", acked)
            .count("recovered_count", recovered)
            .count("lost_count", 0)
            .rate("acked_per_second", units::rate(acked, alive_seconds))
            .seconds("reopen_seconds", open_seconds);
        let ingest = format!(
            "ingest {KILLED} - --format {format} --batch {BATCH_EVENTS} --progress-json > acked.txt"
        );
        let ingest = stage.teller.annals_writing(&ingest);
        let lines = match self.format {
            Some(_) => format!("cat {}", quote(stage.input.path())),
            None => stage.input.about_command(),
        };
        let commands = [
            format!("(while {lines}; do :; done) | {ingest} & sleep 0.5; kill -9 $!"),
            format!("tail -n 1 acked.txt; {}", stage.teller.annals(&format!("query {KILLED}"))),
        ];
        stage.teller.step(step, &report, &commands)
    }

    /// Runs a command that reads: what it answers, and how long that took with the start of its process.
    fn ask(&self, stage: &Stage<'_>, step: &str, args: &[String]) -> Result<(Vec<Value>, f64)> {
        let mut command = child(stage, step)?;
        command.args(args);
        let clock = Stopwatch::start();
        let found = answer(&mut command, step, std::iter::empty())?;
        Ok((found, clock.seconds()))
    }
}

/// An object about each record.
fn about(stage: &Stage<'_>) -> Vec<Vec<u8>> {
    let of_file = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let path = String::from_utf8_lossy(key);
        let changed = std::fs::metadata(stage.input.path().join(&*path));
        let changed = changed.and_then(|meta| meta.modified()).unwrap_or(UNIX_EPOCH);
        let time = changed.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        serde_json::json!({"time": time, "path": path, "bytes": value.len()})
    };
    let of_line = |(at, (_, line)): (usize, &(Vec<u8>, Vec<u8>))| {
        let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count();
        serde_json::json!({"line": at + 1, "bytes": line.len(), "words": words})
    };
    let records = stage.input.records().iter();
    match stage.input.is_directory() {
        true => records.map(|record| of_file(record).to_string().into_bytes()).collect(),
        false => records.enumerate().map(|line| of_line(line).to_string().into_bytes()).collect(),
    }
}

/// This program, answering in JSON.
fn child(stage: &Stage<'_>, step: &str) -> Result<Command> {
    let mut command = child_command(stage, "interval")
        .map_err(|error| broken(step, format!("could not start the child: {error}")))?;
    command.arg("--json");
    Ok(command)
}

/// Runs it, fed with lines, and returns the objects that it prints.
fn answer<'l>(
    command: &mut Command,
    step: &str,
    lines: impl Iterator<Item = &'l [u8]> + Send,
) -> Result<Vec<Value>> {
    let failed = |error: std::io::Error| broken(step, format!("could not run the child: {error}"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let stdin = child.stdin.take();
    let ended = thread::scope(|scope| {
        scope.spawn(move || {
            let mut to = std::io::BufWriter::new(stdin?);
            for line in lines {
                // Who has ended reads no more, and says why.
                to.write_all(line).and_then(|()| to.write_all(b"\n")).ok()?;
            }
            to.flush().ok()
        });
        child.wait_with_output()
    });
    let ended = ended.map_err(failed)?;
    if !ended.status.success() {
        return Err(broken(step, String::from_utf8_lossy(&ended.stderr)));
    }
    let lines = ended.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let read: std::result::Result<_, _> = lines.map(serde_json::from_slice).collect();
    read.map_err(|error| broken(step, format!("an answer is no JSON: {error}")))
}
