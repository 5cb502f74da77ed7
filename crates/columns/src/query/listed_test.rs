//! Going through short lists of rows, and rows that are far from each other.

use super::*;
use crate::{
    Batch, Part, PartBuilder, RowSet, Value,
    fuzzing::{self, PART},
    part::encode_rows,
};
use std::sync::Arc;

/// More rows than a page of a column has.
const ROWS: u64 = 40_000;

fn whole() -> (Batch, Part<Vec<u8>>) {
    let mut batch = Batch::new(fuzzing::sample_schema());
    (0..ROWS).for_each(|n| fuzzing::add_sample_row(&mut batch, n * 7_919 % ROWS));
    let mut builder = PartBuilder::new(Arc::clone(batch.schema()), PART);
    builder.add(&batch, 0).expect("the same schema");
    let part = Part::open(builder.finish().expect("rows"), PART).expect("a part");
    (batch, part)
}

#[test]
fn walks_by_lists_give_what_is_selected_in_either_order() {
    let (batch, part) = whole();
    let view = part.view();
    let mut bytes = Vec::new();
    let gone: Vec<u32> = (0..ROWS as u32).filter(|row| row % 5 == 2).collect();
    encode_rows(&gone, &mut bytes);
    let gone = RowSet::new(&bytes).expect("a set");
    let user = |n: u64| Filter::eq(8, format!("user {n:03}").as_str());
    let filters = [
        user(7),
        user(7).and(Filter::at_least(1, 100i64)),
        user(49).and(Filter::eq(11, "a note")),
        Filter::eq(6, 404u16).and(user(3)),
        user(999),
    ];
    for filter in &filters {
        for excluded in [None, Some(gone)] {
            let is_there = |row: &u32| excluded.is_none_or(|gone: RowSet<'_>| !gone.contains(*row));
            let means = |row: &u32| {
                let rows = view.rows(&[*row]).expect("a row");
                filter.matches(|field| rows.value(0, field))
            };
            let expected: Vec<u32> = (0..ROWS as u32).filter(is_there).filter(means).collect();
            for is_back in [false, true] {
                let new = || {
                    let walk = Walk::new(batch.schema(), view, excluded, filter);
                    if is_back { walk.newest_first() } else { walk }
                };
                let mut expected = expected.clone();
                if is_back {
                    expected.reverse();
                }
                let (mut walk, mut found, mut positions) = (new(), Vec::new(), Vec::new());
                while let Some((row, position)) = walk.step().expect("no damage") {
                    let moment =
                        (view.time(row).expect("a row"), view.arrival(row).expect("a row"));
                    assert_eq!((position.ts, position.arrival), moment);
                    found.push(row);
                    positions.push(position);
                }
                assert_eq!(found, expected, "{filter:?}");
                // And behind one of them.
                let Some(middle) = positions.get(positions.len() / 2) else { continue };
                let (mut walk, mut found) = (new().behind(*middle), Vec::new());
                while let Some((row, _)) = walk.step().expect("no damage") {
                    found.push(row);
                }
                assert_eq!(found, expected[positions.len() / 2 + 1..]);
            }
        }
    }
}

#[test]
fn rows_are_read_in_whatever_order_they_are_asked_for() {
    let (_, part) = whole();
    let view = part.view();
    let far: Vec<u32> = (0..400).map(|n| n * 6_151 % ROWS as u32).collect();
    let near: Vec<u32> = (16_300..16_900).rev().collect();
    let mixed: Vec<u32> = far.iter().zip(&near).flat_map(|(one, other)| [*one, *other]).collect();
    let both = [&far[..30], &near[..], &far[30..]].concat();
    for rows in [far, near, mixed, both] {
        let all = view.rows(&rows).expect("rows");
        for (at, row) in rows.iter().enumerate() {
            let one = view.rows(&[*row]).expect("a row");
            for field in 0..view.schema().fields().len() {
                let (found, expected): (Value<'_>, _) = (all.value(at, field), one.value(0, field));
                assert_eq!(found, expected, "row {row}, field {field}");
            }
        }
    }
}
