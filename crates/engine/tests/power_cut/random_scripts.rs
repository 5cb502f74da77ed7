//! Long random scripts, crashed at sampled operations, several times each.

use crate::{
    model::Crash,
    random::Random,
    script::random_step,
    seeds,
    world::{Setup, Stop, World, honest, settle},
};
use annals_disk::{Disk, SimDisk};
use std::sync::Arc;

/// One script from one seed: steps, crash, recovery (crashed again at times), and on.
pub(crate) fn run(seed: u64, wrap: fn(SimDisk) -> Arc<dyn Disk>) -> Result<(), String> {
    let mut random = Random::new(seed, 1);
    let setup = Setup::random(&mut random);
    let mut world = World::new(seed, setup, wrap);
    let rounds = 2 + random.below(3);
    for round in 0..rounds {
        let reach = random.pick(&[5, 50, 200, 200, 600, 2_000]);
        let cut_at = world.sim.operations() + random.below(reach);
        // Either the machine stops, or the writing process alone.
        let alone = random.once_in(4);
        if alone {
            world.life().end_at(cut_at);
        } else {
            world.sim.cut_power_at(cut_at);
        }
        let steps = 5 + random.below(40);
        let outcome = go_on(&mut world, &mut random, round == 0, steps);
        if let Err(Stop::Violation(what)) = outcome {
            return Err(what);
        }
        let mut crash = if alone || random.once_in(4) { Crash::Kill } else { Crash::Power };
        if alone {
            world.kill_writer();
            settle(world.read_all())?;
        } else {
            world.crash(crash);
        }
        world.setup = Setup::random(&mut random);
        let again = if random.once_in(2) { random.below(4) } else { 0 };
        for attempt in (0..=again).rev() {
            let cut_at = if attempt == 0 { u64::MAX } else { random.below(60) };
            world.sim.cut_power_at(cut_at);
            match world.recover(crash) {
                Ok(()) => break,
                Err(Stop::Violation(what)) => return Err(what),
                Err(Stop::Cut) => {
                    let next = if random.once_in(4) { Crash::Kill } else { Crash::Power };
                    world.crash(next);
                    // What a power cut may take once is gone, whatever crash comes after it.
                    if next == Crash::Power {
                        crash = next;
                    }
                }
            }
        }
        world.sim.cut_power_at(u64::MAX);
        settle(world.read_all())?;
    }
    settle(world.use_backup())
}

fn go_on(world: &mut World, random: &mut Random, is_new: bool, steps: u64) -> Result<(), Stop> {
    if is_new {
        world.start()?;
    }
    for _ in 0..steps {
        let step = random_step(random);
        world.step(&step)?;
    }
    Ok(())
}

#[test]
fn random_scripts_survive_crashes() {
    let count = if seeds::is_nightly() { 200_000 } else { 2_000 };
    seeds::run_all("random_scripts_survive_crashes", 0..count, |seed| run(seed, honest));
}
