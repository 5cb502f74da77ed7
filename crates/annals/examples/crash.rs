//! What a crash takes: a child process writes and says so, is killed without warning, and the
//! parent looks for everything the child was told to be stored.
//!
//!     cargo run --example crash [DIRECTORY]

use annals::{Database, Durability};
use std::{
    env,
    error::Error,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Tells a process that it is the child, and where its database is.
pub(crate) const CHILD: &str = "ANNALS_EXAMPLE_CRASH_DIR";

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(dir) = env::var_os(CHILD) {
        return Ok(child(&PathBuf::from(dir))?);
    }
    let command = Command::new(env::current_exe()?);
    match env::args_os().nth(1) {
        Some(dir) => run(Path::new(&dir), command),
        None => run(tempfile::tempdir()?.path(), command),
    }
}

/// `command` starts this program, or another one that calls [`child`].
pub(crate) fn run(dir: &Path, mut command: Command) -> Result<(), Box<dyn Error>> {
    let mut acknowledged = 0;
    for round in 1..=3 {
        let mut child = command.env(CHILD, dir).stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stdout.take().ok_or("the child has no output")?).lines();
        let numbers = lines.map_while(Result::ok).filter_map(|line| {
            line.strip_prefix("stored ").and_then(|number| number.parse::<u64>().ok())
        });
        // Killed in the middle of its work: it writes on while its lines are read.
        for (count, number) in numbers.enumerate() {
            acknowledged = number + 1;
            if count == 500 {
                child.kill()?;
            }
        }
        child.wait()?;

        let db = Database::open(dir)?;
        let numbers = db.hash_keyspace("numbers")?;
        for number in 0..acknowledged {
            let value =
                numbers.get(number.to_be_bytes())?.ok_or("an acknowledged record is gone")?;
            assert_eq!(&*value, format!("value {number}").as_bytes());
        }
        let recovery = db.recovery();
        println!(
            "round {round}: {acknowledged} acknowledged, {} there, {} read back from the log's \
             tail, {} bytes of a half commit cut off",
            numbers.len(),
            recovery.records_count,
            recovery.torn_bytes
        );
        drop(numbers);
        db.close()?;
    }
    Ok(())
}

/// Writes on until it is killed, and says what is stored. `Buffered` is enough here: the kernel
/// keeps what it was given when a process dies. Against a power cut, `Sync` is.
pub(crate) fn child(dir: &Path) -> annals::Result<()> {
    let db = Database::builder().durability(Durability::Buffered).open(dir)?;
    let numbers = db.hash_keyspace("numbers")?;
    let mut out = std::io::stdout().lock();
    for number in numbers.len().. {
        numbers.insert(number.to_be_bytes(), format!("value {number}"))?;
        // An error here means that the parent is gone.
        if writeln!(out, "stored {number}").and_then(|()| out.flush()).is_err() {
            break;
        }
    }
    Ok(())
}
