//! Scans of events of some categories and types.

use super::*;

/// The numbers of the events that a scan gives.
fn numbers(events: Events<'_>) -> Result<Vec<Seq>> {
    events.map(|event| Ok(event?.seq())).collect()
}

#[test]
fn what_has_nothing_that_is_wanted_is_passed_by() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(3));
    let mut db = small(&disk).segment_bytes(1 << 20).open("db")?;
    let (orders, carts) = (db.category("orders")?, db.category("carts")?);
    let mut known: BTreeMap<(bool, &str), Vec<Seq>> = BTreeMap::new();
    for n in 0..3000u64 {
        let of_type = ["placed", "paid", "sent"][(n / 500 % 3) as usize];
        let is_cart = n / 250 % 4 == 1;
        let category = if is_cart { &carts } else { &orders };
        // Some of them go through pieces in which nothing begins.
        let data = vec![n as u8; if n % 400 == 7 { 20_000 } else { 500 }];
        let done = category.append(n % 7, &NewEvent::bytes(of_type, &data), Any)?;
        known.entry((is_cart, of_type)).or_default().push(done.first_seq);
    }
    drop((orders, carts));
    for round in 0..3 {
        let core = db.core.core();
        let (orders, carts) = (db.open_category("orders")?, db.open_category("carts")?);
        let none = || Vec::new();
        let passed = core.index.passed();
        for of_type in ["placed", "paid", "sent", "none"] {
            let of = |is_cart| known.get(&(is_cart, of_type)).cloned().unwrap_or_else(none);
            let mut both = [of(false), of(true)].concat();
            both.sort_unstable();
            for from in [Seq::ZERO, Seq(700), Seq(2999), Seq(9999)] {
                let (category, later) = (&orders, |seq: &Seq| *seq >= from);
                let found = numbers(category.read_all(from)?.of_type(of_type))?;
                assert_eq!(found, of(false).into_iter().filter(later).collect::<Vec<_>>());
                let found = numbers(db.read_all(from)?.of_type(of_type))?;
                assert_eq!(found, both.iter().copied().filter(later).collect::<Vec<_>>());
            }
        }
        let of_carts = known.iter().filter(|((is_cart, _), _)| *is_cart);
        let mut of_carts: Vec<_> = of_carts.flat_map(|(_, seqs)| seqs.clone()).collect();
        of_carts.sort_unstable();
        assert_eq!(numbers(carts.read_all(Seq::ZERO)?)?, of_carts);
        // What a scan does not learn, since it goes past pieces only, stays unknown.
        let before = core.index.passed();
        assert!(before > passed, "round {round}: {before} after {passed}");
        assert_eq!(numbers(carts.read_all(Seq::ZERO)?)?, of_carts);
        // A quarter of more than a mebibyte and a half in pieces of 4 KiB.
        let now = core.index.passed() - before;
        assert!(now > 150, "round {round}: {now} pieces were passed by");
        drop((orders, carts));
        if round == 1 {
            db.compact()?;
            db.close()?;
            db = small(&disk).segment_bytes(1 << 20).open("db")?;
        }
    }
    Ok(())
}

/// Reading with a filter is reading everything and leaving out what the filter does.
#[test]
fn a_filtered_scan_is_the_scan_with_less() -> Result<()> {
    for seed in 0..4 {
        let disk = SimDisk::new(SimOptions::seeded(seed));
        let db = small(&disk).compact_below(0.9).open("db")?;
        let reader = small(&disk).read_only(true).open("db")?;
        let categories = [db.category("a")?, db.category("b")?, db.category("c")?];
        let churn = db.hash_keyspace("churn")?;
        let mut random = seed + 1;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        let types = ["x", "y", "z"];
        for step in 0..400u64 {
            let category = &categories[next(6).saturating_sub(3) as usize];
            match next(12) {
                0 => churn.insert(next(9).to_le_bytes(), vec![1; 2000])?,
                1 => {
                    let data = vec![step as u8; next(30_000) as usize];
                    category.append(next(5), &NewEvent::bytes("large", &data), Any)?;
                }
                2..5 => {
                    let events: Vec<_> = (0..=next(60))
                        .map(|_| NewEvent::bytes(types[next(3) as usize], b"many"))
                        .collect();
                    category.append_many(next(5), &events, Any)?;
                }
                _ => {
                    let of_type = types[(step / 60 % 3) as usize];
                    category.append(next(5), &NewEvent::bytes(of_type, &[7; 90]), Any)?;
                }
            }
            if step % 50 == 17 {
                db.compact()?;
            }
            if step % 20 != 0 {
                continue;
            }
            for db in [&db, &reader] {
                let all: Vec<_> = db.read_all(Seq::ZERO)?.collect::<Result<_>>()?;
                let from = Seq(next(1 + all.len() as u64 * 2));
                for category in ["a", "b", "c"].map(|name| db.open_category(name)) {
                    let category = category?;
                    for of_type in [None, Some("x"), Some("large"), Some("unknown")] {
                        let is_wanted = |event: &&RecordedEvent<'_>| {
                            event.category() == category.name()
                                && of_type.is_none_or(|of_type| event.event_type().name == of_type)
                        };
                        for from in [Seq::ZERO, from] {
                            let wanted = all.iter().filter(|event| event.seq() >= from);
                            let wanted: Vec<_> =
                                wanted.filter(is_wanted).map(RecordedEvent::seq).collect();
                            let events = category.read_all(from)?;
                            let events = match of_type {
                                Some(of_type) => events.of_type(of_type),
                                None => events,
                            };
                            assert_eq!(numbers(events)?, wanted, "seed {seed}, step {step}");
                        }
                    }
                }
            }
        }
        assert!(db.core.core().index.passed() > 0 && reader.core.core().index.passed() > 0);
    }
    Ok(())
}
