//! Power cuts and kills while a backup is restored, and locks on a simulated machine.

use crate::{
    check,
    model::{Crash, Level},
    script::Step,
    seeds,
    world::{DIR, Setup, World, honest, settle},
};
use annals_disk::{Disk, SimDisk};
use annals_engine::{Background, Builder, Database, ErrorKind};
use std::sync::Arc;

const COPY: &str = "data/restored";

fn builder(sim: &SimDisk) -> Builder {
    let builder = Database::builder().disk(Arc::new(sim.clone())).create(false);
    builder.background(Background::Manual).segment_bytes(64 << 10)
}

/// A machine with a backup of several segments on it.
fn prepared() -> Result<World, String> {
    let mut world = World::new(7, Setup::fixed(), honest);
    settle(world.start())?;
    for key in 0..9 {
        let level = Some(Level::Buffered);
        let put = Step::Put { space: key % 3, key, len: 20_000, ttl_ms: None, level };
        settle(world.step(&put))?;
    }
    settle(world.step(&Step::Backup))?;
    Ok(world)
}

#[test]
fn a_restore_survives_a_crash_at_every_operation() {
    const OUTCOMES: u64 = 5;
    let prepare = || {
        let world = prepared()?;
        let expected = check::state(&world.db())?;
        Ok::<_, String>((world, expected))
    };
    let (world, _) = prepare().unwrap();
    let begin = world.sim.operations();
    builder(&world.sim).restore("data/backup", COPY).unwrap();
    let operations = world.sim.operations() - begin;
    assert!(operations > 20, "only {operations} operations were cut");
    let failed = seeds::failures(0..(operations + 1) * OUTCOMES, 5, |case| {
        let (operation, outcome) = (case / OUTCOMES, case % OUTCOMES);
        let named = |what: String| format!("operation {operation}, outcome {outcome}: {what}");
        let (world, expected) = prepare()?;
        world.sim.cut_power_at(begin + operation);
        let done = builder(&world.sim).restore("data/backup", COPY).is_ok();
        let crash = if outcome == 0 { Crash::Kill } else { Crash::Power };
        let sim = match crash {
            Crash::Kill => world.sim.restart_clean(),
            Crash::Power => world.sim.restart_with_seed(outcome),
        };
        let opened = match builder(&sim).read_only(true).open(COPY) {
            Ok(copy) => {
                let seen = check::state(&copy)?;
                check::same("a restored database", &expected, &seen).map_err(named)?;
                check::intact(&copy).map_err(named)?;
                true
            }
            // It has no root: nobody takes it for a database that is whole.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotADatabase | ErrorKind::Corrupt)
                    && sim.file_bytes(format!("{COPY}/annals.root")).is_none() =>
            {
                false
            }
            Err(error) => return Err(named(error.to_string())),
        };
        if done && !opened {
            return Err(named("what was restored is gone".into()));
        }
        // What was left is no obstacle.
        if !opened {
            let text = |error: annals_engine::Error| named(error.to_string());
            builder(&sim).restore("data/backup", COPY).map_err(text)?;
        }
        let copy = builder(&sim).open(COPY).map_err(|error| named(error.to_string()))?;
        check::same("a database restored again", &expected, &check::state(&copy)?).map_err(named)
    });
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_lock_is_shown_and_cleared_on_any_disk() {
    let world = prepared().unwrap();
    let holder = builder(&world.sim).lock_holder(DIR).unwrap().unwrap();
    assert_eq!(holder.since_ms, world.sim.now_ms());
    let error = builder(&world.sim).break_lock(DIR).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    let killed = world.sim.restart_clean();
    assert_eq!(builder(&killed).lock_holder(DIR).unwrap(), None);
    assert!(builder(&killed).break_lock(DIR).unwrap());
    assert!(!builder(&killed).break_lock(DIR).unwrap());
    assert_eq!(builder(&killed).lock_holder("data/nowhere").unwrap(), None);
}
