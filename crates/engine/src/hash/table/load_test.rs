//! Loading: what a walk has written comes back, and nothing else is let in.

use proptest::prelude::*;

use super::shape::{self, TAG_BITS, TAG_MASK};
use super::stage::Stage;
use super::testing::{Dice, Model, check_inside, groups, mix};
use super::{Group, PackedGroup, Slot, Table, TableError, TableLoader, pack};

fn load(groups: &[Group]) -> Result<Table, TableError> {
    let mut loader = TableLoader::new(|_| true);
    for group in groups {
        loader.push(group)?;
    }
    loader.finish().map_err(|misfit| misfit.error)
}

fn model(keys: u64) -> Model {
    let mut model = Model::new(mix);
    for key in 0..keys {
        model.insert(key, key % 6 == 0);
    }
    for key in (0..keys).step_by(5) {
        model.remove(key);
    }
    model
}

/// The slots of a group as a file has them.
fn packed_slots(group: &Group, width: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for slot in &group.slots {
        out.extend_from_slice(&pack(*slot).to_le_bytes()[..width]);
    }
    assert_eq!(out.len(), group.slots.len() * width);
    out
}

fn load_packed(
    groups: &[Group],
    is_known: impl Fn(u64) -> bool + Sync,
) -> Result<Table, TableError> {
    let width_of = |group: &Group| {
        let largest = group.slots.iter().map(|slot| pack(*slot)).max().unwrap_or(0);
        (u64::BITS - largest.leading_zeros()).div_ceil(8).max(3) as usize
    };
    let packed: Vec<_> = groups.iter().map(|group| packed_slots(group, width_of(group))).collect();
    let mut loader = TableLoader::new(is_known);
    for (group, slots) in groups.iter().zip(&packed) {
        let width = width_of(group);
        let Group { prefix, depth, precision, counts, .. } = group;
        let (prefix, depth, precision) = (*prefix, *depth, *precision);
        let packed = PackedGroup { prefix, depth, precision, counts, slots, width };
        loader.push_packed(&packed)?;
    }
    loader.finish().map_err(|misfit| misfit.error)
}

/// A table loaded from packed groups is the one loaded from the groups.
#[test]
fn packed_groups_load_alike() {
    // The last one is loaded by two threads.
    for keys in [0, 1, 10, 27, 500, 10_000, 250_000] {
        let mut model = model(keys);
        let before = groups(&model.table);
        let loaded = load_packed(&before, |_| true).unwrap();
        assert_eq!(groups(&loaded), before);
        assert_eq!(loaded.len(), model.table.len());
        assert_eq!(loaded.dead_len(), model.table.dead_len());
        model.table = loaded;
        model.check();
        for key in 0..keys + 1000 {
            model.insert(key + keys / 2, false);
        }
        model.check();
    }
}

/// What is wrong with a group is found whichever way it comes.
#[test]
fn wrong_packed_groups_are_refused() {
    let good = groups(&model(3_000).table);
    let refused = |change: &dyn Fn(&mut Group)| {
        let mut bad = good.clone();
        let at = bad.iter().position(|group| group.slots.len() > 20).unwrap();
        change(&mut bad[at]);
        bad[at].buckets = bad[at].counts.len() as u32;
        (load(&bad).err(), load_packed(&bad, |_| true).err())
    };
    let changes: [&dyn Fn(&mut Group); 7] = [
        &|group| group.depth = 25,
        &|group| group.precision = 3,
        &|group| group.prefix ^= 1 << 63,
        &|group| group.counts[0] = 9,
        &|group| group.counts.truncate(group.counts.len() - 1),
        &|group| group.slots[0] &= !((1 << 46) - 1),
        &|group| group.slots.reverse(),
    ];
    for (number, change) in changes.iter().enumerate() {
        let (plain, packed) = refused(*change);
        assert!(plain.is_some(), "change {number}");
        assert_eq!(plain, packed, "change {number}");
    }
    let unknown = good.iter().flat_map(|group| &group.slots).nth(7).copied().unwrap();
    assert_eq!(
        load_packed(&good, |raw| raw != unknown).err(),
        Some(TableError::Unknown { raw: unknown })
    );
    assert!(Slot::from_raw(unknown).is_some());
}

/// A slot is let in where a search for it comes by, around the end too, and nowhere else.
#[test]
fn slots_are_let_in_where_a_search_comes_by() {
    let (mut let_in, mut refused) = (0, 0);
    for round in 0..4_000u64 {
        let mut dice = Dice(mix(round));
        let mut below = |sides: u64| dice.roll(sides) as usize;
        let (buckets, precision) = ([4, 8, 16, 32, 112][below(5)], 15 + below(3) as u32);
        // Crowded at the end, so that some are displaced around it.
        let lowest: u64 = [0, 3 << (TAG_BITS - 2)][below(2)];
        let tag = |_| lowest + below((1 << TAG_BITS) - lowest) as u64;
        let tags: Vec<u64> = (0..shape::limit(buckets) - 1).map(tag).collect();
        let mut stage = Stage::default();
        stage.begin(buckets, precision);
        let placed = tags.iter().zip(1..).map(|(tag, address)| Slot::new(*tag, address, false));
        stage.place(placed);
        let mut slots: Vec<u64> = stage.words().iter().copied().filter(|raw| *raw != 0).collect();
        let at = below(slots.len() as u64);
        let near = [1 << 9, 1 << 13, 1 << TAG_BITS][below(3)];
        let slot = Slot::from_raw(slots[at]).unwrap();
        slots[at] = slot.with_tag((slot.tag() + below(near) as u64) & TAG_MASK).raw();

        let counts = stage.counts().to_vec();
        let bucket_of: Vec<usize> =
            (0..).zip(&counts).flat_map(|(at, n)| vec![at; usize::from(*n)]).collect();
        let home =
            shape::home(Slot::from_raw(slots[at]).unwrap().tag(), shape::known(precision), buckets);
        let passed = (bucket_of[at] + buckets - home) % buckets;
        let fits = (0..passed).all(|step| counts[(home + step) % buckets] == 8);
        let group = Group {
            precision: precision as u8,
            buckets: buckets as u32,
            counts,
            slots,
            ..Group::default()
        };
        let outcome = load_packed(std::slice::from_ref(&group), |_| true).map(drop);
        if fits {
            assert_eq!(outcome, Ok(()), "round {round}");
            assert!(load(&[group]).is_ok());
            let_in += 1;
        } else {
            let raw = group.slots[at];
            let expected = Err(TableError::Displaced { raw, bucket: bucket_of[at] as u32 });
            assert_eq!(outcome, expected, "round {round}");
            assert_eq!(load(&[group]).map(drop), expected);
            refused += 1;
        }
    }
    assert!(let_in > 500 && refused > 500, "{let_in} {refused}");
}

/// The loaded table is the same, and goes on as one.
#[test]
fn round_trip() {
    for keys in [0, 1, 10, 26, 27, 28, 100, 500, 900, 10_000, 150_000] {
        let mut model = model(keys);
        let loaded = load(&groups(&model.table)).unwrap();
        assert!(loaded.memory_bytes() <= model.table.memory_bytes() + 4096);
        model.table = loaded;
        model.check();
        for key in 0..keys + 1000 {
            model.insert(key + keys / 2, false);
        }
        model.check();
    }
}

/// Mostly emptied subtables come back smaller.
#[test]
fn an_emptied_table_comes_back_small() {
    let mut model = model(100_000);
    for key in 0..100_000 {
        if key % 50 != 1 {
            model.remove(key);
        }
    }
    let bytes = model.table.memory_bytes();
    model.table = load(&groups(&model.table)).unwrap();
    model.check();
    assert!(model.table.memory_bytes() < bytes / 2);
}

/// Each field, one by one, made wrong.
#[test]
fn wrong_fields_are_refused() {
    let good = groups(&model(5000).table);
    let loaded = load(&good).unwrap();
    check_inside(&loaded, |slot| {
        let address = slot.address();
        mix((address - 80) / 16)
    });
    let refuse = |change: &dyn Fn(&mut Vec<Group>)| {
        let mut bad = good.clone();
        change(&mut bad);
        load(&bad).map(|_| ()).unwrap_err()
    };
    assert_eq!(load(&[]).unwrap_err(), TableError::Incomplete);
    assert_eq!(refuse(&|bad| _ = bad.pop()), TableError::Incomplete);
    let order = TableError::Order { prefix: good[1].prefix };
    assert_eq!(refuse(&|bad| _ = bad.remove(0)), order);
    assert_eq!(refuse(&|bad| bad.swap(0, 1)), order);
    let twice = TableError::Order { prefix: good[0].prefix };
    assert_eq!(refuse(&|bad| bad.insert(1, bad[0].clone())), twice);
    assert!(matches!(refuse(&|bad| bad.push(bad[0].clone())), TableError::Order { .. }));
    assert!(matches!(refuse(&|bad| bad[1].prefix += 1), TableError::Depth { .. }));
    for depth in [25, 63, 64, 65, 200, 255] {
        assert_eq!(refuse(&|bad| bad[0].depth = depth), TableError::Depth { depth });
    }
    assert!(matches!(refuse(&|bad| bad[0].depth -= 1), TableError::Order { .. }));
    assert!(matches!(refuse(&|bad| bad[0].depth += 1), TableError::Order { .. }));
    for precision in [0, 1, 14, 18, 255] {
        assert_eq!(
            refuse(&|bad| bad[0].precision = precision),
            TableError::Precision { precision }
        );
    }
    for buckets in [0, 1, 3, 5, 17, 63, 1 << 23, u32::MAX] {
        assert_eq!(refuse(&|bad| bad[0].buckets = buckets), TableError::Buckets { buckets });
        assert!(matches!(
            refuse(&|bad| {
                bad[0].buckets = buckets;
                bad[0].counts.resize((buckets as usize).min(1000), 0);
            }),
            TableError::Buckets { .. }
        ));
    }
    assert_eq!(refuse(&|bad| bad[0].counts[3] ^= 1), TableError::Counts);
    assert_eq!(refuse(&|bad| bad[0].counts[3] = 255), TableError::Counts);
    assert_eq!(refuse(&|bad| _ = bad[0].slots.pop()), TableError::Counts);
    assert_eq!(
        refuse(&|bad| {
            let count = bad[0].counts[0];
            bad[0].counts[0] = 9;
            bad[0].slots.splice(0..usize::from(count), [good[0].slots[0]; 9]);
        }),
        TableError::Counts
    );
    for raw in [0, u64::MAX, 1 << 46, 5 << 47, (1 << 46) - 1] {
        assert_eq!(refuse(&|bad| bad[0].slots[5] = raw), TableError::Slot { raw });
    }
    assert!(matches!(
        refuse(&|bad| {
            let last = bad[0].slots.len() - 1;
            bad[0].slots[last] &= (1 << 47) - 1;
        }),
        TableError::Displaced { .. }
    ));
    assert!(matches!(refuse(&|bad| bad[0].slots.reverse()), TableError::Displaced { .. }));
}

/// A few groups must not make a large directory.
#[test]
fn a_long_prefix_needs_many_groups() {
    let empty = |prefix: u64, depth: u8| Group {
        prefix,
        depth,
        precision: 17,
        buckets: 4,
        counts: vec![0; 4],
        slots: Vec::new(),
    };
    let mut chain: Vec<Group> =
        (1..=24).map(|depth| empty(1 << (64 - depth), depth as u8)).collect();
    chain.push(empty(0, 24));
    chain.reverse();
    assert_eq!(load(&chain).unwrap_err(), TableError::Disproportion { depth: 24 });
    assert_eq!(load(&[empty(0, 1), empty(1 << 63, 1)]).unwrap().len(), 0);
}

/// More slots than a size should hold are given more room.
#[test]
fn a_full_group_is_given_room() {
    let slots: Vec<u64> = (0..32u64).map(|at| (at / 8) << 62 | (at + 64)).collect();
    let group = Group { prefix: 0, depth: 0, precision: 17, buckets: 4, counts: vec![8; 4], slots };
    let table = load(&[group]).unwrap();
    assert_eq!(table.len(), 32);
    assert!(groups(&table)[0].buckets > 4);
    assert!(table.find(u64::MAX, |_| None::<()>).is_none());
}

/// Files of an earlier build have sizes that no table grows to any more.
#[test]
fn sizes_between_the_steps_load_and_grow_on() {
    for buckets in (1..=7).map(|pages| pages * 16) {
        let count = buckets as u64 * 6;
        let filled = |count| {
            let mut model = Model::new(mix);
            (0..count).for_each(|key| model.insert(key, key % 6 == 0));
            model
        };
        let mut slots: Vec<_> = filled(count)
            .slots
            .iter()
            .map(|(key, (address, dead))| Slot::new(shape::tag(mix(*key), 0), *address, *dead))
            .collect();
        slots.sort_unstable_by_key(|slot| slot.tag());
        let mut stage = Stage::default();
        stage.begin(buckets, 17);
        stage.place(slots.into_iter());
        let slots = stage.words().iter().copied().filter(|raw| *raw != 0).collect();
        let (buckets_count, counts) = (buckets as u32, stage.counts().to_vec());
        let group =
            Group { prefix: 0, depth: 0, precision: 17, buckets: buckets_count, counts, slots };
        for table in [
            load(std::slice::from_ref(&group)),
            load_packed(std::slice::from_ref(&group), |_| true),
        ] {
            let mut model = filled(count);
            model.table = table.unwrap();
            assert_eq!(groups(&model.table), std::slice::from_ref(&group));
            model.check();
            for key in count..count + 1500 {
                model.insert(key, false);
                model.check_key(key - count);
            }
            model.check();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Random damage is refused or harmless, never a panic or an endless search.
    #[test]
    fn random_damage(seed in any::<u64>(), hits in 1..6u32) {
        let mut dice = Dice(seed);
        let mut bad = groups(&model(3000).table);
        for _ in 0..hits {
            let at = dice.roll(bad.len() as u64) as usize;
            let group = &mut bad[at];
            let bit = dice.roll(64);
            match dice.roll(7) {
                0 => group.prefix ^= 1 << bit,
                1 => group.depth ^= 1 << (bit % 8),
                2 => group.precision ^= 1 << (bit % 8),
                3 => group.buckets ^= 1 << (bit % 32),
                4 => {
                    let at = dice.roll(group.counts.len() as u64) as usize;
                    group.counts[at] ^= 1 << (bit % 8);
                }
                _ => {
                    let at = dice.roll(group.slots.len() as u64) as usize;
                    group.slots[at] ^= 1 << bit;
                }
            }
        }
        if let Ok(table) = load(&bad) {
            for key in 0..5000 {
                table.find(mix(key), |_| None::<()>);
                table.change().insert(mix(key), key + 64, false, |_| false, |_| mix(key));
            }
        }
    }
}
