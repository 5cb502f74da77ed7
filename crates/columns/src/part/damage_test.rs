use super::*;
use crate::{
    Error, Result, Value,
    fuzzing::{self, PART},
};

/// All that a part says, as text.
fn text(view: PartView<'_>) -> Result<String> {
    let rows: Vec<u32> = (0..view.rows_count() as u32).collect();
    let whole = view.rows(&rows)?;
    let fields = view.schema().fields();
    let mut out = format!("{}\n{:?}\n", view.schema(), view.time_range()?);
    for row in &rows {
        out += &format!("{}", view.arrival(*row)?);
        for field in 0..fields.len() {
            out += &format!(" {:?}", whole.value(*row as usize, field));
        }
        if let Value::Text(id) = whole.value(*row as usize, 12) {
            out += &format!(" {:?}", view.find_id(id)?);
        }
    }
    for (at, field) in fields.iter().enumerate() {
        out += &format!("\n{field} {:?} {:?}", view.totals(at)?, view.bounds(at)?);
    }
    for status in [200, 404, 500] {
        out +=
            &format!("\n{:?}", view.status_rows(status)?.map(|set| set.rows().collect::<Vec<_>>()));
    }
    for user in 0..50 {
        let set = view.dimension_rows(8, &format!("user {user:03}"))?;
        out += &format!("\n{:?}", set.map(|set| set.rows().collect::<Vec<_>>()));
    }
    Ok(out)
}

#[test]
fn every_flipped_byte_is_found_and_never_a_wrong_answer() {
    let right = fuzzing::sample_part(20);
    let expected = text(Part::open(&right, PART).expect("a part").view()).expect("readable");
    let times = Part::open(&right, PART).expect("a part").view().time_range().expect("readable");
    let mut named = std::collections::BTreeSet::new();
    for at in 0..right.len() {
        for flip in [1, 0x80, 0xff] {
            let mut bytes = right.clone();
            bytes[at] ^= flip;
            let part = match Part::open(bytes, PART) {
                Ok(part) => part,
                Err(error) => {
                    assert!(at + 1_200 > right.len(), "{at}: {error}");
                    let mut bytes = right.clone();
                    bytes[at] ^= flip;
                    let outline = PartHead::outline(&bytes, PART).expect("the header is whole");
                    assert_eq!((outline.rows, outline.times), (20, times));
                    continue;
                }
            };
            match text(part.view()) {
                Ok(found) => assert_eq!(found, expected, "{at}"),
                Err(Error::Damaged { section, offset, .. }) => {
                    assert!(
                        offset <= at as u64 && at as u64 - offset < 1_000,
                        "{at} {section} {offset}"
                    );
                    named.insert(section);
                }
                Err(other) => panic!("{at}: {other}"),
            }
            let mut damages = Vec::new();
            part.view().verify(&mut |damage| damages.push(damage));
            assert_eq!(damages.len(), 1, "{at}: {damages:?}");
        }
    }
    for section in ["dictionary of `user`", "rows by value of `status`", "page of `id`"] {
        assert!(named.contains(section), "{section} of {named:?}");
    }
}

#[test]
fn the_rest_of_a_damaged_part_is_readable() {
    let right = fuzzing::sample_part(64 * 256 * 2);
    let whole = Part::open(&right, PART).expect("a part");
    let mut bytes = right.clone();
    // Somewhere in the pages of ids, which are the largest sections.
    let id = whole.view().rows(&[5]).expect("readable").value(0, 12).as_text().map(str::to_owned);
    let mut found = 0;
    for at in (64..right.len() - 2_000).step_by(right.len() / 40) {
        bytes[at] ^= 0x10;
        let part = Part::open(&bytes, PART).expect("the directory is right");
        let view = part.view();
        let (first, last) = (view.rows(&[5]), view.rows(&[64 * 256 + 5]));
        if first.is_ok() != last.is_ok() {
            found += 1;
            let error = first.err().or(last.err()).expect("one of them");
            assert!(error.to_string().contains("of `"), "{error}");
        }
        bytes[at] ^= 0x10;
    }
    assert!(found > 5, "{found}");
    assert!(id.is_some());
}

#[test]
fn every_length_but_the_right_one_is_an_error() {
    let right = fuzzing::sample_part(20);
    for len in 0..right.len() {
        let error = Part::open(&right[..len], PART).expect_err("cut off");
        assert!(matches!(error, Error::Damaged { .. }), "{len}: {error}");
    }
    let mut longer = right;
    longer.push(0);
    assert!(matches!(Part::open(&longer, PART), Err(Error::Damaged { .. })));
}

#[test]
fn what_is_no_part_or_another_one_is_named() {
    let right = fuzzing::sample_part(20);
    let other = PartIdentity { number: PART.number + 1, ..PART };
    let error = Part::open(&right, other).expect_err("another part");
    assert_eq!(error, Error::OtherPart { found: PART, expected: other });
    let mut wrong = right.clone();
    wrong[..8].copy_from_slice(b"ANNALSST");
    assert_eq!(PartHead::outline(&wrong, PART), None);
    assert!(Part::open(&wrong, PART).is_ok(), "the footer says the same");
    let footer_at = wrong.len() - 1;
    wrong[footer_at] ^= 1;
    assert_eq!(Part::open(&wrong, PART).err(), Some(Error::NotAPart));
    let mut later = right;
    later[8] = 3;
    let part = Part::open(&later, PART).expect("a flipped bit");
    let mut damages = Vec::new();
    part.view().check(&mut |damage| damages.push(damage));
    assert!(matches!(&damages[..], [Error::Damaged { section, .. }] if section == "header"));
    mend(&mut later, PART);
    assert!(matches!(Part::open(&later, PART), Err(Error::Version { found: 3, .. })));
}

#[test]
fn sections_that_changed_places_and_those_of_another_part_are_found() {
    let right = fuzzing::sample_part(20);
    // Two pages of constants are empty; two of the same length hold other numbers.
    let opened = frame::open(&right, PART).expect("a part");
    let pairs =
        opened.sections.windows(2).filter(|pair| pair[0].len == pair[1].len && pair[0].len > 0);
    let mut count = 0;
    for pair in pairs {
        let mut bytes = right.clone();
        let (one, other) = (pair[0], pair[1]);
        if right[one.offset..][..one.len] == right[other.offset..][..one.len] {
            continue;
        }
        bytes.copy_within(other.offset..other.offset + one.len, one.offset);
        let part = Part::open(bytes, PART).expect("the directory is right");
        let mut damages = 0;
        part.view().verify(&mut |_| damages += 1);
        assert_eq!(damages, 1);
        count += 1;
    }
    assert!(count > 2, "{count}");
}
