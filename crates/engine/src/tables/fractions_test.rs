//! Sums of numbers with fractions, by whatever way they are added up, are as near to the right ones as is promised.

use super::*;
use crate::{Database, Result};
use annals_columns::{Batch, Key, Schema};
use std::collections::BTreeMap;

#[derive(Schema, Clone, Debug)]
#[schema(schema_id = 1, crate = annals_columns)]
struct Weighed {
    #[ts]
    at: i64,
    #[metric]
    weight: Option<f64>,
    #[dim(rollup)]
    kind: String,
    #[id]
    id: String,
}

const KINDS: [&str; 7] = ["thirds", "mixed", "small", "not a number", "infinite", "below", "both"];

fn weighed(n: u64) -> Weighed {
    let kind = KINDS[n as usize % KINDS.len()];
    let number = n as f64;
    let finite = number / 3.0 - 100.0;
    let weight = match (kind, n % 13) {
        (_, 5) => None,
        ("mixed", k) => Some([1e16, -1e16, 1.0 / 3.0, 1e-9, 7e30, -7e30][k as usize % 6] * number),
        ("small", _) => Some(f64::MIN_POSITIVE / 3.0 * number),
        ("not a number", 3) => Some(f64::NAN),
        ("infinite", 4) | ("both", 3) => Some(f64::INFINITY),
        ("below", 4) | ("both", 4) => Some(f64::NEG_INFINITY),
        _ => Some(finite),
    };
    Weighed { at: n as i64 / 7, weight, kind: kind.to_owned(), id: n.to_string() }
}

/// How many numbers, their sum to some 32 digits, and what a sum in any order may be off by.
#[derive(Clone, Copy, Default)]
struct Sum {
    count: u64,
    high: f64,
    low: f64,
    size: f64,
}

impl Sum {
    fn of<'e>(events: impl Iterator<Item = &'e Weighed>) -> Self {
        let mut all = Self::default();
        for weight in events.filter_map(|event| event.weight) {
            let sum = all.high + weight;
            // What the addition has lost, exactly.
            let back = sum - all.high;
            all.low += (all.high - (sum - back)) + (weight - back);
            (all.high, all.count, all.size) = (sum, all.count + 1, all.size + weight.abs());
        }
        all
    }

    fn check(self, count: u64, sum: f64, what: &str) {
        assert_eq!(count, self.count, "{what}");
        if !self.high.is_finite() {
            assert_eq!(sum.is_nan(), self.high.is_nan(), "{what}: {sum}");
            assert!(sum.is_nan() || sum.total_cmp(&self.high).is_eq(), "{what}: {sum}");
            return;
        }
        let error = ((sum - self.high) - self.low).abs();
        let bound = self.count as f64 * 2f64.powi(-53) * self.size;
        assert!(error <= bound, "{what}: {sum} is off by {error}, and {bound} are promised");
    }
}

fn check(table: &EventTable, model: &BTreeMap<u64, Weighed>) -> Result<()> {
    let (view, fields) = (table.view()?, Weighed::fields());
    assert_eq!(view.len(), model.len() as u64);
    let all = Sum::of(model.values());
    let totals = view.totals(fields.weight())?.expect("numbers");
    all.check(totals.count, totals.float_sum, "totals");
    for threads in [1, 2, 4] {
        let query = || view.query().threads(threads);
        let found = query().measure(fields.weight()).run()?;
        let total = found.total()?.measured(fields.weight())?.to_owned();
        all.check(total.count, total.float_sum, "all");
        for (since, until) in [(0, 100), (37, 205), (111, 112), (40, 10_000)] {
            let filter = Weighed::filter().since(since).until(until);
            let of = model.values().filter(|of| (since..until).contains(&of.at));
            let found = query().filter(filter).measure_bounds(fields.weight()).run()?;
            let found = found.total()?.measured(fields.weight())?.to_owned();
            Sum::of(of).check(found.count, found.float_sum, "some of the time");
        }
        let found = query().group_by(fields.kind()).measure(fields.weight()).run()?;
        assert_eq!(found.len(), KINDS.len());
        for group in found.groups() {
            let Key::Text(kind) = group.key(fields.kind())? else { panic!("a kind") };
            let wanted = Sum::of(model.values().filter(|event| event.kind == kind));
            let found = group.measured(fields.weight())?;
            wanted.check(found.count, found.float_sum, kind);
            let filter = Weighed::filter().kind_eq(kind);
            let found = query().filter(filter).measure(fields.weight()).run()?;
            let found = found.total()?.measured(fields.weight())?.to_owned();
            wanted.check(found.count, found.float_sum, kind);
            let day = view.rollup_of(fields.kind(), 0, kind)?.expect("some");
            let found = day.measured(fields.weight())?;
            wanted.check(found.count, found.float_sum, kind);
        }
        let finite = ["thirds", "mixed", "small"];
        let filter = Weighed::filter().kind_in(finite);
        let found = query().filter(filter).group_by(fields.at().buckets(90));
        let found = found.measure(fields.weight()).run()?;
        for group in found.groups() {
            let Key::Time(from) = group.keys()[0] else { panic!("a time") };
            let of = model.values().filter(|of| (from..from + 90).contains(&of.at));
            let of = of.filter(|of| finite.contains(&of.kind.as_str()));
            let found = group.measured(fields.weight())?;
            Sum::of(of).check(found.count, found.float_sum, "a bucket of time");
        }
    }
    Ok(())
}

#[test]
fn sums_of_fractions_are_within_their_error() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Weighed>("weighed")?;
    let mut model = BTreeMap::new();
    for round in 0..4u64 {
        let mut batch = Batch::of::<Weighed>();
        for n in round * 1_400..(round + 1) * 1_400 {
            batch.push(&weighed(n))?;
            model.insert(n, weighed(n));
        }
        table.append_batch(&batch)?;
        check(&table, &model)?;
        if round < 3 {
            table.flush()?;
            check(&table, &model)?;
        }
    }
    let gone = |n: u64| n % 41 == 9;
    table.delete_events(model.keys().filter(|n| gone(**n)).map(u64::to_string))?;
    model.retain(|n, _| !gone(*n));
    check(&table, &model)?;
    table.flush()?;
    assert!(table.merge_parts()?.merged_count > 0);
    check(&table, &model)
}
