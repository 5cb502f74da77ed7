//! A bank account that is what happened to it: its balance is what its events come to. Several tellers
//! work on it at once, and none of them overdraws it.
//!
//!     cargo run --release --example bank_account [DIRECTORY]

use annals::{Category, Database, ErrorKind, ExpectedVersion, NewEvent};
use std::{error::Error, path::Path, thread};

const TELLERS: u64 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args_os().nth(1) {
        Some(dir) => run(Path::new(&dir)),
        None => run(tempfile::tempdir()?.path()),
    }
}

pub(crate) fn run(dir: &Path) -> Result<(), Box<dyn Error>> {
    let db = Database::open(dir)?;
    let accounts = db.category("accounts")?;
    let (ada, bob) = (accounts.streams_count()?, accounts.streams_count()? + 1);
    for account in [ada, bob] {
        let opened = NewEvent::bytes("opened", b"");
        accounts.append(account, &opened, ExpectedVersion::NoStream)?;
    }
    record(&accounts, ada, "deposited", 1_000)?;

    // Each teller asks for more than there is; together they get what there is and no more.
    let paid: Vec<_> = thread::scope(|scope| {
        let teller =
            || (0..10).map(|_| withdraw(&accounts, ada, 70)).collect::<Result<Vec<_>, _>>();
        let tellers: Vec<_> = (0..TELLERS).map(|_| scope.spawn(teller)).collect();
        tellers.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    let mut paid_count = 0;
    for outcome in paid {
        let answers = outcome.map_err(|_| "a teller panicked")??;
        paid_count += answers.into_iter().filter(|paid| *paid).count() as u64;
    }
    assert_eq!(paid_count, 1_000 / 70);

    // Out of one account and into the other, or neither.
    let from = Account::replay(&accounts, ada)?;
    let all = from.balance.to_le_bytes();
    let mut batch = db.batch();
    let (out, into) = (NewEvent::bytes("withdrawn", &all), NewEvent::bytes("deposited", &all));
    batch.append(&accounts, ada, &[out], ExpectedVersion::Exact(from.version))?;
    batch.append(&accounts, bob, &[into], ExpectedVersion::StreamExists)?;
    batch.commit()?;
    assert_eq!(Account::replay(&accounts, ada)?.balance, 0);
    assert_eq!(Account::replay(&accounts, bob)?.balance, 1_000 - paid_count * 70);

    for event in accounts.read(ada)?.back().take(3) {
        let event = event?;
        println!("{}: {} {}", event.version(), event.event_type().name, amount(event.data()));
    }
    db.close()?;
    Ok(())
}

/// What the events of an account come to.
struct Account {
    /// The version of the last event that it knows.
    version: u64,
    balance: u64,
}

impl Account {
    fn replay(accounts: &Category, id: u64) -> annals::Result<Self> {
        let mut account = Self { version: 0, balance: 0 };
        for event in accounts.read(id)? {
            let event = event?;
            match event.event_type().name.as_str() {
                "deposited" => account.balance += amount(event.data()),
                "withdrawn" => account.balance -= amount(event.data()),
                _ => {}
            }
            account.version = event.version();
        }
        Ok(account)
    }
}

/// Pays out if there is enough; whether it did. What was decided on is what the account still is when the
/// event is appended, or else it is decided anew.
fn withdraw(accounts: &Category, id: u64, wanted: u64) -> annals::Result<bool> {
    loop {
        let account = Account::replay(accounts, id)?;
        if account.balance < wanted {
            return Ok(false);
        }
        let data = wanted.to_le_bytes();
        let event = NewEvent::bytes("withdrawn", &data);
        match accounts.append(id, &event, ExpectedVersion::Exact(account.version)) {
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
        }
    }
}

/// Appends what needs no decision.
fn record(accounts: &Category, id: u64, what: &str, amount: u64) -> annals::Result<()> {
    let data = amount.to_le_bytes();
    accounts.append(id, &NewEvent::bytes(what, &data), ExpectedVersion::StreamExists).map(drop)
}

fn amount(data: &[u8]) -> u64 {
    data.try_into().map_or(0, u64::from_le_bytes)
}
