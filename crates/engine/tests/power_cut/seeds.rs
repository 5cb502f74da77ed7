//! Running many seeds on all processors, and naming the ones that fail.

use std::{
    io::Write,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// A long run says each time that it has done so many more.
const TOLD_EVERY: u64 = 10_000;

/// Whether the long runs are asked for.
pub(crate) fn is_nightly() -> bool {
    std::env::var_os("ANNALS_NIGHTLY").is_some_and(|value| value == "1")
}

/// The outcomes of `seeds` that are failures, in no particular order; with `stop_after` of them the
/// rest is not run.
pub(crate) fn failures(
    seeds: Range<u64>,
    stop_after: usize,
    run: impl Fn(u64) -> Result<(), String> + Sync,
) -> Vec<(u64, String)> {
    let next = AtomicU64::new(seeds.start);
    let failed = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || failed.lock().unwrap().len() >= stop_after {
                        return;
                    }
                    let begun = seed - seeds.start;
                    if begun > 0 && begun.is_multiple_of(TOLD_EVERY) {
                        // Past what collects a test's output: a run that is broken off has shown how far it came.
                        let _ = writeln!(
                            std::io::stderr(),
                            "{begun} seeds of {}",
                            seeds.end - seeds.start
                        );
                    }
                    let outcome = catch_unwind(AssertUnwindSafe(|| run(seed)));
                    let what = match outcome {
                        Ok(Ok(())) => continue,
                        Ok(Err(what)) => what,
                        Err(panic) => format!("panic: {}", message(&*panic)),
                    };
                    failed.lock().unwrap().push((seed, what));
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}

/// What `ANNALS_SEED` names: one seed (`7`) or several (`2000..9000`).
fn named() -> Option<Range<u64>> {
    let text = std::env::var("ANNALS_SEED").ok()?;
    let (from, to) = text.split_once("..").unwrap_or((&text, ""));
    let from = from.parse().ok()?;
    Some(from..to.parse().unwrap_or(from + 1))
}

/// Runs `seeds`, or those that `ANNALS_SEED` names; panics with the commands that repeat the
/// failures.
pub(crate) fn run_all(
    test: &str,
    seeds: Range<u64>,
    run: impl Fn(u64) -> Result<(), String> + Sync,
) {
    let seeds = named().unwrap_or(seeds);
    let failed = failures(seeds, 8, run);
    let report: Vec<String> = failed
        .iter()
        .map(|(seed, what)| {
            let command = format!("cargo test -p annals-engine --test power_cut {test}");
            format!("{what}\n    ANNALS_SEED={seed} {command}")
        })
        .collect();
    assert!(report.is_empty(), "{} seeds failed:\n{}", report.len(), report.join("\n"));
}
