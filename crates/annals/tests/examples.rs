//! Runs every example: a program that users start from must work.

use std::{error::Error, path::Path, process::Command};

#[allow(dead_code, reason = "an example's `main` is called by its users")]
#[path = "../examples/backup.rs"]
mod backup;
#[allow(dead_code, reason = "an example's `main` is called by its users")]
#[path = "../examples/counters.rs"]
mod counters;
#[allow(dead_code, reason = "an example's `main` is called by its users")]
#[path = "../examples/crash.rs"]
mod crash;
#[allow(dead_code, reason = "an example's `main` is called by its users")]
#[path = "../examples/outbox.rs"]
mod outbox;
#[allow(dead_code, reason = "an example's `main` is called by its users")]
#[path = "../examples/quickstart.rs"]
mod quickstart;
#[allow(dead_code, reason = "an example's `main` is called by its users")]
#[path = "../examples/sessions.rs"]
mod sessions;
#[allow(dead_code, reason = "an example's `main` is called by its users")]
#[path = "../examples/snapshot_report.rs"]
mod snapshot_report;
#[allow(dead_code, reason = "an example's `main` is called by its users")]
#[path = "../examples/timeline.rs"]
mod timeline;

type Outcome = Result<(), Box<dyn Error>>;

fn in_a_fresh_directory(run: impl FnOnce(&Path) -> Outcome) -> Outcome {
    run(tempfile::tempdir()?.path())
}

#[test]
fn backup_runs() -> Outcome {
    in_a_fresh_directory(backup::run)
}

#[test]
fn counters_runs() -> Outcome {
    in_a_fresh_directory(counters::run)
}

#[test]
fn outbox_runs() -> Outcome {
    in_a_fresh_directory(outbox::run)
}

#[test]
fn quickstart_runs() -> Outcome {
    in_a_fresh_directory(quickstart::run)
}

#[test]
fn sessions_runs() -> Outcome {
    in_a_fresh_directory(sessions::run)
}

#[test]
fn snapshot_report_runs() -> Outcome {
    in_a_fresh_directory(snapshot_report::run)
}

#[test]
fn timeline_runs() -> Outcome {
    in_a_fresh_directory(timeline::run)
}

#[test]
fn crash_runs() -> Outcome {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["child_of_crash", "--exact", "--nocapture"]);
    in_a_fresh_directory(|dir| crash::run(dir, command))
}

/// The child of `crash_runs`; does nothing when it is run as a test.
#[test]
fn child_of_crash() -> annals::Result<()> {
    std::env::var_os(crash::CHILD).map_or(Ok(()), |dir| crash::child(Path::new(&dir)))
}
