//! Groups by keys whose ranges multiply to more than 64 bits.

use crate::{Database, Result};
use annals_columns::{Batch, GroupBy, Key, Schema};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Schema, Clone, Debug)]
#[schema(schema_id = 7, crate = annals_columns)]
struct Span {
    #[ts]
    at: i64,
    #[counter]
    trace_id: u64,
    #[counter]
    parent_id: Option<u64>,
    #[status]
    status: u16,
    #[metric]
    cost: i64,
    #[dim]
    user: String,
}

/// Keys of 63 bits and another, buckets of a nanosecond over centuries, and numbers from end to end are groups
/// like any other, wherever the events are.
#[test]
fn groups_beyond_64_bits_are_the_same_fresh_and_in_parts() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Span>("spans")?;
    let centuries = [i64::MIN, -8_520_336_000_000_000_000, i64::MAX, 9_214_646_400_000_000_000];
    let mut spans: Vec<Span> = Vec::new();
    for n in 0..3_000u64 {
        // A trace has several spans.
        let trace_id = match n % 500 {
            0 => 0,
            1 => u64::MAX,
            trace => (trace << 54) | (trace << 7),
        };
        spans.push(Span {
            at: centuries.get(n as usize / 700).copied().unwrap_or(5).saturating_add(n as i64 / 40),
            trace_id,
            parent_id: Some(u64::MAX - trace_id).filter(|_| !n.is_multiple_of(3)),
            status: [200, 404][n as usize * 7 / 3 % 2],
            cost: (n * 31 % 100) as i64,
            user: format!("user {}", n * 11 / 5 % 3),
        });
    }
    let append = |spans: &[Span]| {
        let mut batch = Batch::of::<Span>();
        spans.iter().try_for_each(|span| batch.push(span))?;
        table.append_batch(&batch)
    };
    let mut there = &spans[..2_000];
    append(there)?;

    type Keyed = fn(&Span) -> Vec<Key<'_>>;
    let fields = Span::fields();
    let nanoseconds = GroupBy::Time { bucket_ns: 1 };
    let of = |index: usize| GroupBy::Field(index);
    let questions: [(&[GroupBy], Keyed); 5] = [
        (&[of(1), of(3)], |span| vec![Key::Number(span.trace_id), Key::Number(span.status.into())]),
        (&[of(1)], |span| vec![Key::Number(span.trace_id)]),
        (&[of(2)], |span| vec![span.parent_id.map_or(Key::Absent, Key::Number)]),
        (&[nanoseconds, of(5)], |span| vec![Key::Time(span.at), Key::Text(&span.user)]),
        (&[of(1), nanoseconds, of(2), of(5)], |span| {
            let parent = span.parent_id.map_or(Key::Absent, Key::Number);
            vec![Key::Number(span.trace_id), Key::Time(span.at), parent, Key::Text(&span.user)]
        }),
    ];
    // All fresh, all in a part, and then some of both.
    for round in 0..3 {
        let view = table.view()?;
        assert_eq!((view.parts_count() > 0, view.fresh_len() > 0), (round > 0, round != 1));
        for (by, keys) in &questions {
            for since in [i64::MIN, 0] {
                let mut expected = BTreeMap::<Vec<Key<'_>>, (u64, i128, i64, BTreeSet<u64>)>::new();
                for span in there.iter().filter(|span| span.at >= since) {
                    let group =
                        expected.entry(keys(span)).or_insert((0, 0, i64::MAX, BTreeSet::new()));
                    group.0 += 1;
                    group.1 += i128::from(span.cost);
                    group.2 = group.2.min(span.cost);
                    group.3.insert(span.trace_id);
                }
                for threads in [1, 3] {
                    let query = view.query().filter(Span::filter().since(since)).threads(threads);
                    let query = by.iter().fold(query, |query, by| query.group_by(*by));
                    let query = query.measure_bounds(fields.cost()).quantiles(fields.cost());
                    let explained = query.clone().explain()?;
                    let selected: u64 = explained.parts.iter().map(|part| part.rows_selected).sum();
                    let in_parts = &there[..if round == 0 { 0 } else { 2_000 }];
                    let count = in_parts.iter().filter(|span| span.at >= since).count();
                    assert_eq!(selected, count as u64);
                    let found = query.distinct(fields.trace_id()).run()?;
                    assert_eq!(found.len(), expected.len(), "{by:?} since {since}");
                    for group in found.groups() {
                        let (rows, sum, min, traces) = &expected[group.keys()];
                        let cost = group.measured(fields.cost())?;
                        assert_eq!((group.rows(), cost.sum), (*rows, *sum), "{by:?}");
                        assert_eq!(cost.min().as_i64(), Some(*min));
                        assert_eq!(group.quantiles(fields.cost())?.at(0.0).as_i64(), Some(*min));
                        let distinct = group.distinct(fields.trace_id())?.count();
                        assert_eq!(distinct, traces.len() as u64);
                    }
                }
            }
        }
        if round == 0 {
            table.flush()?;
        } else if round == 1 {
            append(&spans[2_000..])?;
            there = &spans;
        }
    }
    Ok(())
}
