//! A bank account that is what happened to it: its balance is what its events come to. Several tellers
//! work on it at once, and none of them overdraws it: what a command comes to is decided by what the account is
//! when its events are appended, or else it is decided anew.
//!
//!     cargo run --release --example bank_account [DIRECTORY]

use annals::{Aggregate, Aggregates, Database, Event, ExpectedVersion, Handle};
use std::{fmt, path::Path, thread};

const TELLERS: u64 = 4;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match std::env::args_os().nth(1) {
        Some(dir) => run(Path::new(&dir)),
        None => run(tempfile::tempdir()?.path()),
    }
}

pub(crate) fn run(dir: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let db = Database::open(dir)?;
    let accounts = Aggregates::<Account>::new(&db, "accounts")?;
    let ada = accounts.streams().category().streams_count()?;
    let bob = ada + 1;
    for account in [ada, bob] {
        accounts.handle(account, &Open)?;
    }
    assert!(matches!(accounts.handle(ada, &Open), Err(Refusal::IsOpen)));
    accounts.handle(ada, &Deposit { cents: 1_000 })?;

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
    let from = accounts.load(ada)?;
    let cents = from.state.cents;
    let mut batch = db.batch();
    let (withdrawn, deposited) =
        (AccountEvent::Withdrawn { cents }, AccountEvent::Deposited { cents });
    let as_it_was = ExpectedVersion::Exact(from.events_count - 1);
    accounts.streams().append_in(&mut batch, ada, &[withdrawn], as_it_was)?;
    accounts.streams().append_in(&mut batch, bob, &[deposited], ExpectedVersion::StreamExists)?;
    batch.commit()?;
    assert_eq!(accounts.load(ada)?.state.cents, 0);
    assert_eq!(accounts.load(bob)?.state.cents, 1_000 - paid_count * 70);

    for event in accounts.streams().read_back(ada)?.take(3) {
        let event = event?;
        match event.view()? {
            AccountEventView::Opened => println!("{}: opened", event.version()),
            AccountEventView::Deposited(by) => println!("{}: + {}", event.version(), by.cents),
            AccountEventView::Withdrawn(by) => println!("{}: - {}", event.version(), by.cents),
        }
    }
    drop(accounts);
    db.close()?;
    Ok(())
}

/// What happens to an account.
#[derive(Event)]
enum AccountEvent {
    Opened,
    Deposited { cents: u64 },
    Withdrawn { cents: u64 },
}

/// What the events of an account come to.
#[derive(Default)]
struct Account {
    is_open: bool,
    cents: u64,
}

impl Aggregate for Account {
    type Event = AccountEvent;

    fn apply(&mut self, event: AccountEventView<'_>) {
        match event {
            AccountEventView::Opened => self.is_open = true,
            AccountEventView::Deposited(deposited) => self.cents += deposited.cents.to_native(),
            AccountEventView::Withdrawn(withdrawn) => self.cents -= withdrawn.cents.to_native(),
        }
    }
}

/// Why a command comes to nothing.
#[derive(Debug)]
enum Refusal {
    IsOpen,
    IsNotOpen,
    TooLittle { cents: u64 },
    Failed(annals::Error),
}

impl From<annals::Error> for Refusal {
    fn from(error: annals::Error) -> Self {
        Self::Failed(error)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IsOpen => f.write_str("the account is open already"),
            Self::IsNotOpen => f.write_str("there is no such account"),
            Self::TooLittle { cents } => write!(f, "there are {cents} cents only"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}

struct Open;

impl Handle<Open> for Account {
    type Error = Refusal;

    fn handle(&self, _: &Open) -> Result<Vec<AccountEvent>, Refusal> {
        if self.is_open { Err(Refusal::IsOpen) } else { Ok(vec![AccountEvent::Opened]) }
    }
}

struct Deposit {
    cents: u64,
}

impl Handle<Deposit> for Account {
    type Error = Refusal;

    fn handle(&self, deposit: &Deposit) -> Result<Vec<AccountEvent>, Refusal> {
        match self.is_open {
            true => Ok(vec![AccountEvent::Deposited { cents: deposit.cents }]),
            false => Err(Refusal::IsNotOpen),
        }
    }
}

struct Withdraw {
    cents: u64,
}

impl Handle<Withdraw> for Account {
    type Error = Refusal;

    fn handle(&self, withdraw: &Withdraw) -> Result<Vec<AccountEvent>, Refusal> {
        match self.cents >= withdraw.cents {
            true => Ok(vec![AccountEvent::Withdrawn { cents: withdraw.cents }]),
            false => Err(Refusal::TooLittle { cents: self.cents }),
        }
    }
}

/// Pays out if there is enough; whether it did.
fn withdraw(accounts: &Aggregates<Account>, id: u64, cents: u64) -> Result<bool, Refusal> {
    match accounts.handle(id, &Withdraw { cents }) {
        Ok(_) => Ok(true),
        Err(Refusal::TooLittle { .. }) => Ok(false),
        Err(refusal) => Err(refusal),
    }
}
