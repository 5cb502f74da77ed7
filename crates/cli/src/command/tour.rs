//! `annals tour`: the whole job on the user's own data, each claim checked against the input and
//! each figure measured in this run.
//!
//! Everything happens in a temporary directory that is removed at the end. A step prints what it
//! did, how long that took, and commands that do the same on a database of the user's own. A step
//! whose proof fails ends the tour with an error.

mod backup;
mod damage;
mod events;
mod input;
mod kill;
mod store;
mod table;
mod teller;

use super::Command;
use crate::{
    clock::Stopwatch,
    failure::{Failure, Kind, Result},
    output::Report,
    scratch::Scratch,
    session::{Session, Settings},
};
use annals::{Database, Durability, KeyspaceKind};
use input::Input;
use std::path::{Path, PathBuf};
use table::Act;
use teller::Teller;

/// The keyspace that holds the user's data.
const KEYSPACE: &str = "tour";

/// Small segments, unless others are asked for: little input then shows as well how the log moves
/// on from one to the next, and that a second backup copies only new ones.
const SEGMENT_BYTES: u64 = 4 << 20;

/// The database directory in commands to repeat, when the tour's own is removed.
const DATA_TO_REPEAT: &str = "./annals-tour";

/// Shows all of it on one input.
#[derive(Debug)]
pub(crate) struct Tour {
    pub(crate) path: PathBuf,
    pub(crate) keep: bool,
    pub(crate) max_bytes: u64,
    pub(crate) kind: KeyspaceKind,
}

/// What the steps share.
struct Stage<'a> {
    input: &'a Input,
    /// The database's settings, in the temporary directory.
    settings: Settings,
    /// The kind of the keyspaces.
    kind: KeyspaceKind,
    /// The temporary directory.
    scratch: &'a Path,
    teller: Teller<'a>,
}

impl Command for Tour {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let clock = Stopwatch::start();
        let input = Input::read(&self.path, self.max_bytes)?;
        let read_seconds = clock.seconds();
        let place = Scratch::new("tour", self.keep)?;
        let data = place.path().join("data");
        let shown = if self.keep { data.clone() } else { DATA_TO_REPEAT.into() };
        let segment_bytes = session.settings.segment_bytes.unwrap_or(SEGMENT_BYTES);
        let settings =
            Settings { data, segment_bytes: Some(segment_bytes), ..session.settings.clone() };
        let (kind, scratch) = (self.kind, place.path());
        let teller = Teller::new(&mut session.out, &shown, segment_bytes, kind);
        let mut stage = Stage { input: &input, settings, kind, scratch, teller };

        stage.tell_input(read_seconds)?;
        let mut act = Act::new(&stage);
        act.ingest(&mut stage)?;
        act.query(&mut stage)?;
        act.group(&mut stage)?;
        act.recent(&mut stage)?;
        act.kill(&mut stage)?;
        store::store(&mut stage)?;
        store::read_back(&mut stage)?;
        events::append(&mut stage)?;
        for (name, durability) in [
            ("buffered", Durability::Buffered),
            ("interval", Durability::default()),
            ("sync", Durability::Sync),
        ] {
            kill::kill(&mut stage, name, durability)?;
        }
        store::read_back_after_kills(&mut stage)?;
        backup::while_writing(&mut stage)?;
        backup::again(&mut stage)?;
        backup::restore(&mut stage)?;
        damage::verify(&mut stage)?;
        damage::flip_and_find(&mut stage)?;

        let mut end = Report::default();
        end.seconds("seconds", clock.seconds());
        if self.keep {
            end.text_field("kept_in", place.path().display().to_string());
        }
        stage.teller.step("done", &end, &[])
    }
}

impl Stage<'_> {
    fn tell_input(&mut self, seconds: f64) -> Result<()> {
        let mut report = Report::default();
        report
            .text_field("path", self.input.path().display().to_string())
            .text_field("each", self.input.record_is())
            .count("records_count", self.input.records().len() as u64)
            .bytes("bytes", self.input.bytes())
            .seconds("seconds", seconds);
        if self.input.left_out_count() > 0 {
            report.count("left_out_count", self.input.left_out_count());
        }
        self.teller.step("input", &report, &[])
    }

    /// Opens the tour's database to write.
    fn open(&self) -> Result<Database> {
        self.settings.open(true)
    }

    /// Opens the database in `path` to look at it, which changes nothing.
    fn open_to_look(&self, path: &Path) -> Result<Database> {
        self.settings.open_to_read(path)
    }
}

/// A claim of the tour that did not hold.
fn broken(step: &str, what: impl std::fmt::Display) -> Failure {
    Failure::new(Kind::Other("proof_failed"), format!("tour: {step}: {what}"))
}
