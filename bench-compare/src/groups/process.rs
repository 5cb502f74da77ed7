//! Children as the parent sees them.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::child::Task;
use crate::emit;
use crate::results::Peak;
use crate::row::Row;
use crate::{Result, memory};

/// A child that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(900);

/// What a child printed.
#[derive(Debug)]
pub(super) struct Outcome(Vec<(String, f64)>);

impl Outcome {
    /// The figure of that name.
    pub(super) fn figure(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| *value)
    }

    /// The figures that belong to rows of the table.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&str, f64)> {
        let figures = self.0.iter().map(|(name, value)| (name.as_str(), *value));
        figures.filter(|(name, _)| Row::by_id(name).is_some())
    }

    /// The memory it took.
    pub(super) fn peak(&self) -> Peak {
        Peak {
            resident_bytes: self.figure("peak").unwrap_or(0.0),
            anonymous_bytes: self.figure("anonymous").unwrap_or(0.0),
        }
    }
}

/// A child that runs.
pub(super) struct Running {
    child: Child,
    complaints: JoinHandle<String>,
    dir: String,
}

impl Running {
    /// Starts the task; its standard output comes back too.
    pub(super) fn start(task: &Task) -> Result<(Self, ChildStdout)> {
        memory::warm_up(task.dir.parent().unwrap_or(&task.dir))?;
        let mut child = task.command()?.spawn()?;
        let stdout = child.stdout.take().ok_or("a child without standard output")?;
        let mut stderr = child.stderr.take().ok_or("a child without standard error")?;
        let complaints = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let dir = task.dir.display().to_string();
        Ok((Self { child, complaints, dir }, stdout))
    }

    /// Kills it: SIGKILL.
    pub(super) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits for its end; an error holds the last line it complained with.
    pub(super) fn wait(mut self) -> Result<()> {
        let started = Instant::now();
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break status,
                None if started.elapsed() > PATIENCE => {
                    self.kill()?;
                    return Err(format!("given up after {} s", PATIENCE.as_secs()).into());
                }
                None => thread::sleep(Duration::from_millis(2)),
            }
        };
        if status.success() {
            return Ok(());
        }
        let complaints =
            self.complaints.join().unwrap_or_default().replace(&self.dir, "the folder");
        let last = complaints.lines().rfind(|line| !line.starts_with("note: "));
        Err(format!("{status}: {}", last.unwrap_or("without a word")).into())
    }
}

/// Runs the task to its end.
pub(super) fn finish(task: &Task) -> Result<Outcome> {
    let (running, stdout) = Running::start(task)?;
    let figures = thread::spawn(move || {
        BufReader::new(stdout)
            .lines()
            .map_while(|line| line.ok())
            .filter_map(|l| emit::parse(&l))
            .collect()
    });
    running.wait()?;
    Ok(Outcome(figures.join().map_err(|_| "reading a child's figures failed")?))
}

/// Kills the child as soon as it has said that all is loaded.
pub(super) fn kill_when_loaded(task: &Task) -> Result<()> {
    let (running, stdout) = Running::start(task)?;
    for line in BufReader::new(stdout).lines() {
        if emit::parse(&line?).is_some_and(|(name, _)| name == "loaded") {
            return running.kill();
        }
    }
    running.wait()?;
    Err("the load ended without a word".into())
}
