use super::*;
use crate::{Batch, Dimension, Error, Result, Role, Schema, Value};
use std::{collections::BTreeMap, sync::Arc};

const ID: PartIdentity = PartIdentity { database_id: 5, number: 9 };
const DAY: i64 = 86_400_000_000_000;
const SETS: [&[usize]; 3] = [&[3], &[5], &[3, 5]];

/// The fields that are summed up.
const SUMMED: [usize; 5] = [0, 2, 6, 7, 8];

fn schema(is_float: bool) -> Arc<Schema> {
    let rollup = || Role::Dimension(Dimension::Rollup);
    let schema = Schema::builder(3)
        .with_optional("cost", if is_float { Role::MetricF64 } else { Role::MetricI64 })
        .with("at", Role::Ts)
        .with("bytes", Role::CounterU64)
        .with_optional("user", rollup())
        .with("region", Role::Dimension(Dimension::Plain))
        .with("model", Role::Dimension(Dimension::BloomRollup))
        .with("hits", Role::CounterU32)
        .with("misses", Role::CounterU32)
        .with("none", Role::CounterU64);
    Arc::new(schema.build().expect("a schema"))
}

/// Times before 1970, at the ends of days, and at the ends of all times; numbers at their ends.
fn add(batch: &mut Batch, n: u64, is_float: bool) -> Result<()> {
    let at = match n % 11 {
        0 => i64::MIN,
        1 => i64::MAX,
        2 => -1,
        3 => 0,
        4 => DAY - 1,
        k => (k as i64 - 8) * DAY / 2 + 7,
    };
    let mut row = batch.row();
    row.i64(1, at)?.u64(2, u64::MAX - n % 7)?.text(4, "eu")?;
    row.text(5, if n.is_multiple_of(3) { "small" } else { "" })?.u32(6, (n % 5) as u32)?;
    row.u32(7, u32::MAX - n as u32)?.u64(8, 0)?;
    if n % 4 != 1 {
        row.text(3, &format!("user {}", n * 7 % 5))?;
    }
    match n % 3 {
        2 => {}
        _ if is_float => drop(row.f64(0, n as f64 / 3.0)?),
        _ => drop(row.i64(0, i64::MIN + (n % 9) as i64)?),
    }
    row.finish()
}

fn part_of(rows: u64, is_float: bool) -> Result<Vec<u8>> {
    let mut batch = Batch::new(schema(is_float));
    (0..rows).try_for_each(|n| add(&mut batch, n, is_float))?;
    let mut builder = PartBuilder::new(schema(is_float), ID);
    builder.add(&batch, 0)?;
    builder.finish()
}

/// By day and values: how many events, and of each field how many values and their sum.
type Expected = BTreeMap<(i64, Vec<Option<String>>), (u64, Vec<(u64, i128, f64)>)>;

fn added_up(part: PartView<'_>, dimensions: &[usize]) -> Result<Expected> {
    let mut all = Expected::new();
    for row in 0..part.rows_count() as u32 {
        let rows = part.rows(&[row])?;
        let text = |field: &usize| rows.value(0, *field).as_text().map(str::to_owned);
        let key = (part.time(row)?.div_euclid(DAY), dimensions.iter().map(text).collect());
        let (events, sums) = all.entry(key).or_insert_with(|| (0, vec![(0, 0, 0.0); SUMMED.len()]));
        *events += 1;
        for (sum, field) in sums.iter_mut().zip(SUMMED) {
            match rows.value(0, field) {
                Value::I64(number) => sum.1 += i128::from(number),
                Value::U64(number) => sum.1 += i128::from(number),
                Value::F64(number) => sum.2 += number,
                _ => continue,
            }
            sum.0 += 1;
        }
    }
    Ok(all)
}

/// A bucket: its day and values, how many events it has, and what their numbers come to.
type Said = ((i64, Vec<Option<String>>), (u64, Vec<(u64, i128, f64)>));

/// All that a part says.
fn said(part: PartView<'_>, dimensions: &[usize]) -> Result<Option<Vec<Said>>> {
    let Some(sums) = part.day_sums(dimensions)? else { return Ok(None) };
    let mut all = Vec::new();
    for day in sums.days() {
        let day_of = sums.clone().day(day)?;
        check_codes(&day_of, dimensions.len());
        for at in 0..day_of.len() {
            let value = |place| day_of.value(at, place).map(str::to_owned);
            let key = (day, (0..dimensions.len()).map(value).collect());
            let of_field = |field| {
                let totals = day_of.totals(at, field);
                (totals.count, totals.sum, totals.float_sum)
            };
            let sums = (0..SUMMED.len()).map(of_field).collect();
            all.push((key, (day_of.events_count(at), sums)));
        }
    }
    Ok(Some(all))
}

/// Codes that are copied are those of the values, and nothing is where there is no bucket.
fn check_codes(day: &DayBuckets<'_>, dimensions_count: usize) {
    for place in 0..dimensions_count {
        let codes = day.codes(place);
        assert_eq!(codes.len(), day.len());
        for (at, code) in codes.into_iter().enumerate() {
            assert_eq!(day.text(place, code), day.value(at, place));
        }
    }
    let (behind, nothing) = (day.len(), Totals { count: 0, sum: 0, float_sum: 0.0 });
    assert_eq!(day.codes(dimensions_count), vec![0; behind]);
    assert_eq!((day.value(behind, 0), day.events_count(behind)), (None, 0));
    assert!((0..=SUMMED.len()).all(|field| day.totals(behind, field) == nothing));
    assert_eq!(day.totals(0, SUMMED.len()), nothing);
}

/// Each value of the only dimension is found, and no other one.
fn check_find(part: PartView<'_>, dimension: usize) -> Result<()> {
    let Some(sums) = part.day_sums(&[dimension])? else { return Ok(()) };
    for day in sums.days() {
        let day = sums.clone().day(day)?;
        for at in 0..day.len() {
            assert_eq!(day.find(day.value(at, 0)), Some(at));
        }
        assert_eq!(day.find(Some("nobody")), None);
        let has_none = day.value(0, 0).is_none();
        assert_eq!(day.find(None), has_none.then_some(0));
    }
    Ok(())
}

#[test]
fn sums_by_day_are_those_of_the_rows() -> Result<()> {
    for (rows, is_float) in
        [1, 2, 90, 2_000].into_iter().flat_map(|rows| [(rows, false), (rows, true)])
    {
        let part = Part::open(part_of(rows, is_float)?, ID)?;
        let view = part.view();
        view.verify(&mut |damage| panic!("{damage}"));
        let mut is_any = false;
        for dimensions in SETS {
            let expected = added_up(view, dimensions)?;
            let found = said(view, dimensions)?;
            is_any |= found.is_some();
            assert_eq!(found.is_some(), 2 * expected.len() as u64 <= rows, "{rows} {dimensions:?}");
            assert!(
                found.is_none_or(|found| found.into_iter().eq(expected)),
                "{rows} {dimensions:?}"
            );
            if let [dimension] = dimensions {
                check_find(view, *dimension)?;
            }
        }
        assert_eq!(is_any, rows > 2);
        let version = part_of(rows, is_float)?[8];
        assert_eq!(version, if is_any { 2 } else { 1 }, "of {rows} rows");
        assert!(view.day_sums(&[4])?.is_none() && view.day_sums(&[])?.is_none());
        assert!(view.day_sums(&[5, 3])?.is_none() && view.day_sums(&[99])?.is_none());
        if let Some(sums) = view.day_sums(&[5])? {
            let none = sums.day(77)?;
            assert!(none.is_empty() && none.find(None).is_none() && none.find(Some("")).is_none());
        }
    }
    Ok(())
}

#[test]
fn merged_parts_have_the_sums_of_what_was_kept() -> Result<()> {
    let part = Part::open(part_of(500, false)?, ID)?;
    let mut builder = PartBuilder::new(schema(false), ID);
    builder.add_part(part.view(), |row| row % 3 != 0)?;
    let merged = Part::open(builder.finish()?, ID)?;
    for dimensions in SETS {
        let expected = added_up(merged.view(), dimensions)?;
        let found = said(merged.view(), dimensions)?.expect("there are some");
        assert!(found.into_iter().eq(expected));
    }
    Ok(())
}

#[test]
fn flipped_bytes_are_found_and_made_up_sums_are_only_wrong() -> Result<()> {
    let right = part_of(90, true)?;
    let part = Part::open(&right, ID)?;
    let mut offset = 64;
    let mut sections = Vec::new();
    for (len, name) in part.view().sections() {
        if name.starts_with("sums by day of") {
            sections.push((offset, len, name));
        }
        offset += len;
    }
    let names: Vec<_> = sections.iter().map(|(_, _, name)| &**name).collect();
    assert_eq!(
        names,
        ["sums by day of `user`", "sums by day of `model`", "sums by day of `user`, `model`"]
            [..names.len()]
    );
    let (mut refused, mut told) = (0, 0);
    for (start, len, name) in &sections {
        for at in *start..start + len {
            for flip in [1, 0x80] {
                let mut bytes = right.clone();
                bytes[at] ^= flip;
                let part = Part::open(&bytes, ID)?;
                let outcome = SETS.map(|set| said(part.view(), set).err());
                let damage = outcome.into_iter().flatten().next().expect("it is found");
                assert!(matches!(&damage, Error::Damaged { section, .. } if section == name));
                mend(&mut bytes, ID);
                let made_up = Part::open(&bytes, ID)?;
                for set in SETS {
                    refused += u32::from(said(made_up.view(), set).is_err());
                }
                made_up.view().verify(&mut |_| told += 1);
            }
        }
    }
    assert!(refused > 10 && told > 100, "{refused} {told}");
    Ok(())
}

/// What a part was written with wrongly passes its checksums; who reads values later is told before, and by name.
#[test]
fn codes_and_strings_that_make_no_sense_are_found_before_anybody_reads_them() -> Result<()> {
    let right = part_of(90, false)?;
    let range_of = |wanted: &str| -> Result<_> {
        let (part, mut offset) = (Part::open(&right, ID)?, 64);
        for (len, name) in part.view().sections() {
            if name == wanted {
                return Ok(offset..offset + len);
            }
            offset += len;
        }
        panic!("{wanted} is not there")
    };
    let refused = |at: usize, byte: u8| -> Result<Error> {
        let mut bytes = right.clone();
        bytes[at] = byte;
        mend(&mut bytes, ID);
        let part = Part::open(&bytes, ID)?;
        let Err(error) = part.view().day_sums(&[3]) else { panic!("it makes no sense") };
        assert_eq!(part.view().day_sums(&[3]).err().as_ref(), Some(&error), "again");
        let mut told = Vec::new();
        part.view().verify(&mut |damage| told.push(damage));
        assert!(told.contains(&error), "{told:?}");
        Ok(error)
    };
    let is_of = |error: &Error, name: &str, why: &str| {
        assert!(matches!(error, Error::Damaged { section, .. } if section == name), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    };
    let view_of = Part::open(&right, ID)?;
    let sums = view_of.view().day_sums(&[3])?.expect("there are some");
    let (days_count, count) = (sums.days().count(), sums.buckets_count());
    let codes_at = range_of("sums by day of `user`")?.start
        + days_count * 8
        + ((days_count + 1) * 4).next_multiple_of(8);
    for at in [0, count / 2, count - 1] {
        is_of(&refused(codes_at + at, 0xff)?, "sums by day of `user`", "a code has no string");
    }
    let texts = range_of("dictionary of `user`")?;
    for at in [texts.start + 8 + 4 * 5, texts.start + 8 + 4 * 4] {
        is_of(&refused(at, 0xff)?, "dictionary of `user`", "it has what are no strings");
    }
    Ok(())
}
