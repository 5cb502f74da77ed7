//! A child: one piece of work on one engine, and the figures it prints.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::engine::Engine;
use crate::engines::{self, EngineJob};
use crate::event_engine::EventEngine;
use crate::event_engines::{self, EventEngineJob};
use crate::table_engine::TableEngine;
use crate::table_engines::{self, TableEngineJob};
use crate::{Result, event_steps, limits, memory, steps, table_steps};

/// The name under which the hand-written loops run.
pub(crate) const LIMIT: &str = "limit";
/// The name under which memory is made warm between two rows of one process, and nothing else is done.
const WARM: &str = "warm";

/// What a child is told.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// The engine, or [`LIMIT`].
    pub(crate) engine: String,
    /// The piece of work.
    pub(crate) step: String,
    /// The database's folder.
    pub(crate) dir: PathBuf,
    /// Records of the load.
    pub(crate) keys: u64,
    /// When to cut a row of single commits short.
    pub(crate) cap: Duration,
    /// What else the step needs.
    pub(crate) extra: String,
}

impl Task {
    /// Large values of the load: as many bytes as two loads of small ones, 4,096 at most.
    pub(crate) fn large(&self) -> u64 {
        (self.keys / 244).clamp(64, 4096)
    }

    /// Makes memory warm as it was when this child began. By a process of its own, so that what it takes is not
    /// counted as the engine's.
    pub(crate) fn warm_up(&self) -> Result<()> {
        let task = Self { engine: WARM.to_owned(), ..self.clone() };
        let status = task.command()?.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
        if status.success() { Ok(()) } else { Err("memory could not be made warm".into()) }
    }

    /// The command that starts this binary again with this task.
    pub(crate) fn command(&self) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["child", &self.engine, &self.step])
            .arg(&self.dir)
            .arg(self.keys.to_string())
            .arg(self.cap.as_millis().to_string())
            .arg(&self.extra)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }

    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut next = || args.next().ok_or("a child is started by `run`, not by hand");
        Ok(Self {
            engine: next()?,
            step: next()?,
            dir: PathBuf::from(next()?),
            keys: next()?.parse()?,
            cap: Duration::from_millis(next()?.parse()?),
            extra: next()?,
        })
    }
}

/// Does the task in `args`.
pub(crate) fn main(args: impl Iterator<Item = String>) -> Result<()> {
    let task = Task::parse(args)?;
    if task.engine == WARM {
        return memory::warm_up(task.dir.parent().unwrap_or(&task.dir));
    }
    memory::warm_up_here()?;
    if task.engine == LIMIT {
        limits::run(&task)?;
    } else {
        let engine = task.engine.clone();
        let done = match engines::with_engine(&engine, Work(task)) {
            Ok(done) => done,
            Err(work) => event_engines::with_engine(&engine, work)
                .or_else(|work| table_engines::with_engine(&engine, work))
                .map_err(|_| format!("no engine `{engine}` in this build"))?,
        };
        done?;
    }
    memory::tell()
}

struct Work(Task);

impl EngineJob for Work {
    type Output = Result<()>;

    fn run<E: Engine>(self) -> Result<()> {
        steps::run::<E>(&self.0)
    }
}

impl EventEngineJob for Work {
    type Output = Result<()>;

    fn run<E: EventEngine>(self) -> Result<()> {
        event_steps::run::<E>(&self.0)
    }
}

impl TableEngineJob for Work {
    type Output = Result<()>;

    fn run<E: TableEngine>(self) -> Result<()> {
        table_steps::run::<E>(&self.0)
    }
}
