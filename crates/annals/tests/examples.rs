//! Runs every example: a program that users start from must work.

use std::{error::Error, path::Path, process::Command};

#[cfg(feature = "chained-events")]
#[allow(dead_code, reason = "an example's `main` is called by its users")]
#[path = "../examples/audit_log.rs"]
mod audit_log;
#[allow(dead_code, reason = "an example's `main` is called by its users")]
#[path = "../examples/backup.rs"]
mod backup;
#[allow(dead_code, reason = "an example's `main` is called by its users")]
#[path = "../examples/bank_account.rs"]
mod bank_account;
#[allow(dead_code, reason = "an example's `main` is called by its users")]
#[path = "../examples/counters.rs"]
mod counters;
#[allow(dead_code, reason = "an example's `main` is called by its users")]
#[path = "../examples/crash.rs"]
mod crash;
#[allow(dead_code, reason = "an example's `main` is called by its users")]
#[path = "../examples/outbox.rs"]
mod outbox;
#[cfg(feature = "arrow")]
#[allow(dead_code, reason = "an example's `main` is called by its users")]
#[path = "../examples/parquet_export.rs"]
mod parquet_export;
#[allow(dead_code, reason = "an example's `main` is called by its users")]
#[path = "../examples/quickstart.rs"]
mod quickstart;
#[allow(dead_code, reason = "an example's `main` is called by its users")]
#[path = "../examples/request_analytics.rs"]
mod request_analytics;
#[allow(dead_code, reason = "an example's `main` is called by its users")]
#[path = "../examples/sessions.rs"]
mod sessions;
#[allow(dead_code, reason = "an example's `main` is called by its users")]
#[path = "../examples/shopping_cart.rs"]
mod shopping_cart;
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

#[cfg(feature = "chained-events")]
#[test]
fn audit_log_runs() -> Outcome {
    in_a_fresh_directory(|dir| audit_log::run(dir).and_then(|()| audit_log::run(dir)))
}

#[test]
fn backup_runs() -> Outcome {
    in_a_fresh_directory(backup::run)
}

#[test]
fn bank_account_runs() -> Outcome {
    // A second run finds the accounts of the first.
    in_a_fresh_directory(|dir| bank_account::run(dir).and_then(|()| bank_account::run(dir)))
}

#[test]
fn counters_runs() -> Outcome {
    in_a_fresh_directory(counters::run)
}

#[test]
fn outbox_runs() -> Outcome {
    in_a_fresh_directory(outbox::run)
}

#[cfg(feature = "arrow")]
#[test]
fn parquet_export_runs() -> Outcome {
    in_a_fresh_directory(|dir| parquet_export::run(dir).and_then(|()| parquet_export::run(dir)))
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
fn shopping_cart_runs() -> Outcome {
    // A second run adds a cart to that of the first.
    in_a_fresh_directory(|dir| shopping_cart::run(dir).and_then(|()| shopping_cart::run(dir)))
}

#[test]
fn snapshot_report_runs() -> Outcome {
    in_a_fresh_directory(snapshot_report::run)
}

#[test]
fn request_analytics_runs() -> Outcome {
    in_a_fresh_directory(request_analytics::run)
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
