//! The kill test: a child writes one record a commit and acknowledges each through a pipe; it is
//! killed at a random moment; another child counts the acknowledged records that are gone. The same
//! database goes through all rounds.

use std::io::Read;
use std::process::ChildStdout;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use super::process::{Running, finish};
use crate::Result;
use crate::child::Task;
use crate::data::mix;
use crate::results::Results;

/// Kills a run.
const ROUNDS: u64 = 5;
/// How long a writer may take to its first commit.
const PATIENCE: Duration = Duration::from_secs(60);

/// Kills `ROUNDS` times and keeps what was lost.
pub(super) fn run(task: &Task, seed: u32, results: &mut Results) -> Result<()> {
    let mut written = Vec::new();
    let mut acknowledged = 0;
    let mut lost = 0;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let mut random = mix(u64::from(now.subsec_nanos()) ^ u64::from(seed));
    for round in 0..ROUNDS {
        random = mix(random);
        let first = round << 40;
        let delay = Duration::from_millis(40 + random % 500);
        let count = write_until_killed(task, first, delay)?;
        acknowledged += count;
        written.push(format!("{first}:{count}"));
        let counted = finish(&Task {
            step: "count-survivors".to_owned(),
            extra: written.join(","),
            ..task.clone()
        });
        match counted {
            Ok(outcome) => {
                let missing = outcome.figure("kill").ok_or("the survivors were not counted")?;
                lost = lost.max(missing as u64);
            }
            Err(error) => {
                results.note(format!("{}: does not open after kill -9: {error}", task.engine));
                lost = acknowledged;
                break;
            }
        }
    }
    results.set_acknowledged(&task.engine, acknowledged);
    results.add(&task.engine, "kill", lost as f64);
    Ok(())
}

/// Lets a child write from index `first` on, kills it `delay` after its first commit, and returns
/// how many it had acknowledged.
fn write_until_killed(task: &Task, first: u64, delay: Duration) -> Result<u64> {
    let step = "write-until-killed".to_owned();
    let (running, stdout) =
        Running::start(&Task { step, extra: first.to_string(), ..task.clone() })?;
    let (begun, begin) = mpsc::channel();
    let reader = thread::spawn(move || last_acknowledged(stdout, &begun));
    if begin.recv_timeout(PATIENCE).is_err() {
        running.kill()?;
        return Err("the writer committed nothing".into());
    }
    thread::sleep(delay);
    running.kill()?;
    reader.join().map_err(|_| "reading acknowledgements failed")?
}

/// Reads the pipe to its end; what lies in it when the writer dies has been acknowledged.
fn last_acknowledged(mut stdout: ChildStdout, begun: &Sender<()>) -> Result<u64> {
    let mut bytes = vec![0; 1 << 16];
    let mut pending = Vec::new();
    let mut last = 0;
    loop {
        let read = stdout.read(&mut bytes)?;
        if read == 0 {
            return Ok(last);
        }
        pending.extend_from_slice(&bytes[..read]);
        let (whole, rest) = pending.as_chunks::<8>();
        if let Some(count) = whole.last() {
            if last == 0 {
                let _ = begun.send(());
            }
            last = u64::from_le_bytes(*count);
        }
        pending = rest.to_vec();
    }
}
