//! The randomness of the simulated disk: SplitMix64, the same numbers on every machine for ever,
//! so that a seed printed by a failing test stays good.

/// A stream of numbers that depends on its seed alone.
#[derive(Clone, Debug)]
pub(super) struct Rng {
    state: u64,
}

impl Rng {
    /// The stream of `seed` for one `purpose`: streams of different purposes do not disturb each
    /// other, so that drawing more of one changes nothing in the others.
    pub(super) fn new(seed: u64, purpose: &str) -> Self {
        let salt = purpose.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mut rng = Self { state: seed ^ salt };
        rng.state = rng.next();
        rng
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which must not be zero.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// `true` in this share of all calls.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        // 53 bits are what a double holds exactly.
        ((self.next() >> 11) as f64) < share * (1_u64 << 53) as f64
    }

    /// One of `choices`, which must not be empty.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_seed_never_change() {
        let mut rng = Rng::new(1, "test");
        let drawn: Vec<u64> = (0..3).map(|_| rng.next()).collect();
        let mut again = Rng::new(1, "test");
        assert_eq!(drawn, (0..3).map(|_| again.next()).collect::<Vec<_>>());
        assert_ne!(drawn[0], Rng::new(1, "other").next());
        assert_ne!(drawn[0], Rng::new(2, "test").next());
    }

    #[test]
    fn chances_are_about_right() {
        let mut rng = Rng::new(7, "test");
        let hit_count = (0..10_000).filter(|_| rng.chance(0.25)).count();
        assert!((2_200..2_800).contains(&hit_count), "{hit_count}");
        assert!(!rng.chance(0.0));
        assert!(rng.chance(1.0));
        assert!((0..1000).all(|_| rng.below(3) < 3));
    }
}
