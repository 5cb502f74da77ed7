//! Short scripts, crashed at every operation, with several outcomes of each crash.

use crate::{
    appends::Events,
    model::{Crash, Level},
    script::{Step, short_scripts},
    world::{Done, Setup, Stop, World, honest, settle},
};

const OUTCOMES: u64 = 4;

fn run(world: &mut World, script: &[Step]) -> Done {
    world.start()?;
    script.iter().try_for_each(|step| world.step(step))
}

/// How many operations the script takes when nothing happens to it.
fn operations(script: &[Step]) -> u64 {
    let mut world = World::new(1, Setup::fixed(), honest);
    run(&mut world, script).expect("nothing fails");
    world.sim.operations()
}

/// The world as it is found when the script was cut at `operation`.
fn cut(script: &[Step], operation: u64) -> Result<World, String> {
    let mut world = World::new(1, Setup::fixed(), honest);
    world.sim.cut_power_at(operation);
    match run(&mut world, script) {
        Err(Stop::Violation(what)) => Err(what),
        Ok(()) | Err(Stop::Cut) => Ok(world),
    }
}

/// The database goes on after a recovery, and survives another crash.
fn go_on(world: &mut World) -> Done {
    let put = |key, level| Step::Put { space: 2, key, len: 50, ttl_ms: None, level: Some(level) };
    world.step(&put(1, Level::Sync))?;
    world.step(&put(2, Level::Buffered))?;
    let events = Events { category: 0, stream: 1, count: 1, len: 20 };
    world.step(&Step::Append { events, level: Some(Level::Sync) })?;
    world.crash(Crash::Power);
    world.recover(Crash::Power)?;
    world.step(&put(3, Level::Buffered))?;
    world.step(&Step::Append { events, level: None })?;
    world.step(&Step::Kill)
}

#[test]
fn one_script_recycles_segments() {
    let scripts = short_scripts();
    let (_, script) = scripts.iter().find(|(name, _)| *name == "recycling").unwrap();
    // A segment is not used again while any thread of the process is pinned: other tests have some that are.
    let recycles = || {
        let mut world = World::new(1, Setup::fixed(), honest);
        run(&mut world, script).expect("nothing fails");
        world.recycled_count >= 2
    };
    assert!((0..100).any(|_| recycles()), "a hundred runs, and none has recycled two segments");
}

#[test]
fn short_scripts_survive_a_crash_at_every_operation() {
    for (name, script) in short_scripts() {
        let operations = operations(&script);
        let failed = crate::seeds::failures(0..(operations + 1) * (OUTCOMES + 1), 5, |case| {
            let (operation, outcome) = (case / (OUTCOMES + 1), case % (OUTCOMES + 1));
            let mut world = cut(&script, operation)?;
            let crash = if outcome == OUTCOMES {
                world.crash(Crash::Kill);
                Crash::Kill
            } else {
                world.crash_with(outcome);
                Crash::Power
            };
            let named = |what| format!("operation {operation}, outcome {outcome}: {what}");
            settle(world.recover(crash)).map_err(named)?;
            settle(go_on(&mut world)).map_err(named)?;
            settle(world.use_backup()).map_err(named)
        });
        assert!(failed.is_empty(), "script `{name}` of {operations} operations: {failed:#?}");
    }
}

/// The operations that a recovery may take at most.
const RECOVERY_MAX: u64 = 400;

#[test]
fn recovery_survives_a_crash_at_every_operation() {
    for (name, script) in short_scripts() {
        let operations = operations(&script);
        let step = 9;
        let failed = crate::seeds::failures(0..operations / step, 5, |case| {
            let operation = case * step + operations % step;
            for again in 0..RECOVERY_MAX {
                let mut world = cut(&script, operation)?;
                world.crash_with(case);
                world.sim.cut_power_at(again);
                let first = world.recover(Crash::Power);
                let was_cut = world.sim.is_power_cut();
                let named =
                    |what| format!("operation {operation}, recovery cut at {again}: {what}");
                if let Err(Stop::Violation(what)) = first {
                    return Err(named(what));
                }
                world.crash_with(again);
                settle(world.recover(Crash::Power)).map_err(named)?;
                settle(go_on(&mut world)).map_err(named)?;
                if !was_cut {
                    return Ok(());
                }
            }
            Err(format!("a recovery takes more than {RECOVERY_MAX} operations"))
        });
        assert!(failed.is_empty(), "script `{name}` of {operations} operations: {failed:#?}");
    }
}
