//! A writing child, killed at a random moment, and what is left of its work.
//!
//! The child is this program: `batch-put --progress-json`, fed through a pipe. What it has
//! acknowledged when it dies must all be there, and what is there must be a prefix of what it was
//! fed: nothing missing in the middle, nothing half written.

use super::{Stage, broken};
use crate::{
    clock::Stopwatch, failure::Result, keyspace::Keyspace, output::Report, random::Random, units,
};
use annals::Durability;
use std::{
    io::{self, BufRead, BufReader, BufWriter, Write},
    process::{ChildStdin, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

/// Records a commit of the child.
const BATCH_RECORDS: u64 = 100;

/// The child dies this long after its first acknowledged commit, at the latest.
const ALIVE_MS_MAX: u64 = 300;

/// Kills a child that writes with `durability`, and checks what it left.
pub(super) fn kill(stage: &mut Stage<'_>, name: &str, durability: Durability) -> Result<()> {
    let keyspace = format!("killed-{name}");
    let step = format!("kill -9, {name}");
    let (acked, alive_seconds) = run_and_kill(stage, name, &keyspace, &step)?;

    let clock = Stopwatch::start();
    stage.settings.durability = durability;
    let db = stage.open()?;
    let open_seconds = clock.seconds();
    let found = Keyspace::open(&db, &keyspace)?;
    let recovered = found.count()?;
    if recovered < acked {
        return Err(broken(&step, format!("{acked} acknowledged, {recovered} recovered")));
    }
    let count = usize::try_from(recovered).unwrap_or(usize::MAX);
    for (key, value) in stage.input.endless_records().take(count) {
        if found.get_with(&key, |found| found == value)? != Some(true) {
            let key = String::from_utf8_lossy(&key);
            return Err(broken(&step, format!("record {key} is not what the child was fed")));
        }
    }
    let torn_bytes = db.recovery().torn_bytes;
    db.close()?;

    let mut report = Report::default();
    report
        .seconds("alive_seconds", alive_seconds)
        .count("acked_count", acked)
        .count("recovered_count", recovered)
        .count("lost_count", 0)
        .bytes("torn_bytes", torn_bytes)
        .rate("acked_per_second", units::rate(acked, alive_seconds))
        .seconds("reopen_seconds", open_seconds);
    let child = stage.teller.annals_writing(&format!(
        "--durability {name} batch-put - --key-from-line-number --batch {BATCH_RECORDS} {} \
         --progress-json > acked.txt",
        stage.teller.makes(&keyspace)
    ));
    let feed = stage.input.endless_command();
    let count = stage.teller.annals(&format!("keys -k {keyspace} | wc -l"));
    let commands = [
        format!("({feed}) | {child} & sleep 0.2; kill -9 $!"),
        format!("tail -n 1 acked.txt; {count}"),
    ];
    stage.teller.step(&step, &report, &commands)
}

/// Runs a child until a random moment: how many records it acknowledged, and how long it lived.
fn run_and_kill(stage: &Stage<'_>, name: &str, keyspace: &str, step: &str) -> Result<(u64, f64)> {
    let mut command = child_command(stage, name)
        .map_err(|error| broken(step, format!("could not start the child: {error}")))?;
    command.args(["batch-put", "-", "--key-from-line-number", "--progress-json"]);
    command.args(["--batch", &BATCH_RECORDS.to_string(), "-k", keyspace]);
    command.args(["--kind", &stage.kind.to_string()]);
    kill_when_busy(command, step, |stdin| feed(stdin, stage.input.endless_lines()))
}

/// This program, to be run on the tour's database.
pub(super) fn child_command(stage: &Stage<'_>, durability: &str) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--data").arg(&stage.settings.data);
    command.args(["--durability", durability]);
    if let Some(bytes) = stage.settings.segment_bytes {
        command.args(["--segment-bytes", &bytes.to_string()]);
    }
    Ok(command)
}

/// Feeds a child and kills it at a random moment after its first acknowledgement: what it acknowledged, and how long
/// it lived.
pub(super) fn kill_when_busy(
    mut command: Command,
    step: &str,
    feed: impl FnOnce(ChildStdin) + Send,
) -> Result<(u64, f64)> {
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child =
        started.map_err(|error| broken(step, format!("could not start the child: {error}")))?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(broken(step, "the child has no pipes"));
    };
    let clock = Stopwatch::start();
    let acked = AtomicU64::new(0);
    let alive = Duration::from_millis(Random::fresh().below(ALIVE_MS_MAX));
    let status = thread::scope(|scope| {
        scope.spawn(|| feed(stdin));
        let listener = scope.spawn(|| listen(stdout, &acked));
        // A child that ends before it acknowledged anything must not keep us waiting.
        while acked.load(Ordering::Acquire) == 0 && !listener.is_finished() {
            thread::sleep(Duration::from_micros(200));
        }
        thread::sleep(alive);
        let killed = child.kill();
        let status = child.wait();
        killed.and(status)
    });
    let seconds = clock.seconds();
    let status = status.map_err(|error| broken(step, format!("could not kill: {error}")))?;
    if status.code().is_some() {
        return Err(broken(step, format!("the child ended by itself: {status}")));
    }
    Ok((acked.into_inner(), seconds))
}

/// Feeds lines until nobody reads them any more.
pub(super) fn feed<'l>(stdin: ChildStdin, lines: impl Iterator<Item = &'l [u8]>) {
    let mut to = BufWriter::with_capacity(64 << 10, stdin);
    for line in lines {
        if to.write_all(line).and_then(|()| to.write_all(b"\n")).is_err() {
            // What is left in the buffer has no reader either.
            drop(to.into_parts());
            return;
        }
    }
}

/// Notes what the child acknowledges, to the last whole line.
fn listen(stdout: ChildStdout, acked: &AtomicU64) {
    for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
        let parsed: Option<serde_json::Value> = serde_json::from_slice(&line).ok();
        if let Some(count) = parsed.and_then(|object| object["acked"].as_u64()) {
            acked.store(count, Ordering::Release);
        }
    }
}
