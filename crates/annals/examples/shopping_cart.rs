//! Shopping carts: commands that are decided by what a cart is, also when it is changed from two places at once; a
//! cart that is saved now and then, so that it is not made of all its events each time; and a projection
//! that keeps what is asked for most beside the carts.
//!
//!     cargo run --release --example shopping_cart [DIRECTORY]

use annals::{
    Aggregate, Aggregates, Database, Error, ErrorKind, Event, ExpectedVersion, OrderedKeyspace,
    Projection, Projector, RecordedEvent, Work,
};
use std::{collections::BTreeMap, path::Path, thread};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match std::env::args_os().nth(1) {
        Some(dir) => run(Path::new(&dir)),
        None => run(tempfile::tempdir()?.path()),
    }
}

pub(crate) fn run(dir: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let db = Database::open(dir)?;
    let carts = Aggregates::<Cart>::new(&db, "carts")?;
    let id = carts.streams().category().streams_count()?;

    carts.execute(id, add("apple", 3, 40))?;
    carts.execute(id, add("pear", 1, 65))?;
    carts.execute(id, take_out("pear", 1))?;
    let refused = carts.execute(id, take_out("plum", 1)).map(drop).expect_err("there is none");
    println!("{refused}");

    // Two windows with the same cart: each decides by what the cart is then, and no apple is lost.
    let windows = [20, 30].map(|count| (count, carts.streams().name().to_owned()));
    let outcomes: Vec<annals::Result<()>> = thread::scope(|scope| {
        let window = |(count, name): &(u32, String)| {
            let (db, count, name) = (db.clone(), *count, name.clone());
            scope.spawn(move || {
                let carts = Aggregates::<Cart>::new(&db, &name)?;
                (0..count).try_for_each(|_| carts.execute(id, add("apple", 1, 40)).map(drop))
            })
        };
        let windows: Vec<_> = windows.iter().map(window).collect();
        let panicked = || Err(Error::Refused("a window panicked".into()));
        windows.into_iter().map(|window| window.join().unwrap_or_else(|_| panicked())).collect()
    });
    outcomes.into_iter().collect::<annals::Result<Vec<_>>>()?;
    let cart = carts.load(id)?;
    assert_eq!((cart.state.lines["apple"].count, cart.events_count), (53, 53));

    // Who decided by what the cart was once is told, and nothing is written.
    let late = CartEvent::CheckedOut { cents: 120 };
    let refused = carts.streams().append_expecting(id, &late, ExpectedVersion::Exact(0));
    assert_eq!(refused.map(drop).map_err(|error| error.kind()), Err(ErrorKind::Conflict));

    // Saved, a cart is made of that and of the events since. Carts are saved by themselves every 256 events.
    carts.save_snapshot(id, &cart)?;
    let cart = carts.execute(id, check_out)?;
    assert!(cart.state.is_checked_out && carts.load(id)?.state == cart.state);
    assert!(carts.execute(id, add("apple", 1, 40)).is_err(), "it is checked out");

    // Each event counts once, whenever this stops and goes on: what is written and how far it has come are one commit.
    let asked_for = db.keyspace("asked-for")?;
    let mut projector = Projector::new(&db, "asked-for", AskedFor(asked_for.clone()))?;
    projector.catch_up()?;
    assert_eq!(projector.lag(), 0);
    for entry in asked_for.prefix("")? {
        let entry = entry?;
        println!("{}: {}", String::from_utf8_lossy(entry.key()), number(entry.value()));
    }
    let apples = asked_for.get("apple")?.map_or(0, |count| number(&count));
    assert_eq!(apples, 53 * (id + 1), "of all carts there ever were");
    drop(projector);
    db.close()?;
    Ok(())
}

/// What happens to a cart.
#[derive(Event)]
enum CartEvent {
    Added { item: String, count: u32, cents: u64 },
    TakenOut { item: String, count: u32 },
    CheckedOut { cents: u64 },
}

/// What its events have made of a cart.
#[derive(Default, PartialEq)]
struct Cart {
    lines: BTreeMap<String, Line>,
    is_checked_out: bool,
}

#[derive(Default, PartialEq)]
struct Line {
    count: u32,
    /// The price of one.
    cents: u64,
}

impl Aggregate for Cart {
    type Event = CartEvent;

    fn apply(&mut self, event: CartEventView<'_>) {
        match event {
            CartEventView::Added(added) => {
                let line = self.lines.entry(added.item.to_string()).or_default();
                line.count += added.count.to_native();
                line.cents = added.cents.to_native();
            }
            CartEventView::TakenOut(taken) => {
                if let Some(line) = self.lines.get_mut(taken.item.as_str()) {
                    line.count -= taken.count.to_native().min(line.count);
                }
                self.lines.retain(|_, line| line.count > 0);
            }
            CartEventView::CheckedOut(_) => self.is_checked_out = true,
        }
    }

    /// A line of text for each item. A cart that is checked out is not needed again.
    fn save(&self) -> Option<Vec<u8>> {
        let lines = self.lines.iter();
        let text: String =
            lines.map(|(item, line)| format!("{} {} {item}\n", line.count, line.cents)).collect();
        (!self.is_checked_out).then(|| text.into_bytes())
    }

    fn load(bytes: &[u8]) -> Option<Self> {
        let line = |line: &str| {
            let mut parts = line.splitn(3, ' ');
            let (count, cents) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            Some((parts.next()?.to_owned(), Line { count, cents }))
        };
        let lines = std::str::from_utf8(bytes).ok()?.lines().map(line).collect::<Option<_>>()?;
        Some(Self { lines, is_checked_out: false })
    }
}

/// What a command comes to: events, or why not.
type Decision = annals::Result<Vec<CartEvent>>;

fn add(item: &str, count: u32, cents: u64) -> impl Fn(&Cart) -> Decision {
    move |cart| {
        check_open(cart)?;
        Ok(vec![CartEvent::Added { item: item.to_owned(), count, cents }])
    }
}

fn take_out(item: &str, count: u32) -> impl Fn(&Cart) -> Decision {
    move |cart| {
        check_open(cart)?;
        match cart.lines.get(item) {
            Some(line) if line.count >= count => {
                Ok(vec![CartEvent::TakenOut { item: item.to_owned(), count }])
            }
            _ => Err(Error::Refused(format!("the cart has fewer than {count} of {item}"))),
        }
    }
}

fn check_out(cart: &Cart) -> Decision {
    check_open(cart)?;
    let cents = cart.lines.values().map(|line| line.cents * u64::from(line.count)).sum();
    Ok(vec![CartEvent::CheckedOut { cents }])
}

fn check_open(cart: &Cart) -> annals::Result<()> {
    match cart.is_checked_out {
        true => Err(Error::Refused("the cart is checked out".into())),
        false => Ok(()),
    }
}

/// How many of each item were ever asked for and not taken out again.
struct AskedFor(OrderedKeyspace);

impl Projection for AskedFor {
    fn handle(&mut self, event: &RecordedEvent<'_>, work: &mut Work) -> annals::Result<()> {
        if event.category() != "carts" {
            return Ok(());
        }
        let event_type = event.event_type();
        let (item, change) =
            match CartEvent::decode(&event_type.name, event_type.version, event.data())? {
                CartEvent::Added { item, count, .. } => (item, i64::from(count)),
                CartEvent::TakenOut { item, count } => (item, -i64::from(count)),
                CartEvent::CheckedOut { .. } => return Ok(()),
            };
        let before = work.get(&self.0, &item)?.map_or(0, |count| number(&count));
        work.insert(&self.0, &item, before.saturating_add_signed(change).to_le_bytes());
        Ok(())
    }

    fn reset(&mut self, _: &Database) -> annals::Result<()> {
        self.0.clear()
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}
