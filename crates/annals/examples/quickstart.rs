//! The first ten minutes: open, write, read, several writes at once, all records, close, open again.
//!
//!     cargo run --example quickstart [DIRECTORY]

use annals::{Database, Durability, WriteOptions};
use std::{error::Error, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args_os().nth(1) {
        Some(dir) => run(Path::new(&dir)),
        None => run(tempfile::tempdir()?.path()),
    }
}

pub(crate) fn run(dir: &Path) -> Result<(), Box<dyn Error>> {
    // Opens the database in this directory, or makes one there.
    let db = Database::open(dir)?;
    let stock = db.keyspace("stock")?;
    let orders = db.keyspace("orders")?;

    stock.insert("apple", "42")?;
    // This one is on the device when the call returns, whatever the database's default is.
    stock.insert_with("pear", "7", WriteOptions::default().durability(Durability::Sync))?;

    // Bytes as they were written; `to_vec` copies them if they are to be kept.
    let apples = stock.get("apple")?.ok_or("just written")?;
    println!("apples: {}", String::from_utf8_lossy(&apples));
    drop(apples);

    // Both or neither, also if the process dies in between.
    let mut batch = db.batch();
    batch.insert(&stock, "apple", "41")?;
    batch.insert(&orders, "17", "one apple")?;
    let commit = batch.commit()?.ok_or("the batch was not empty")?;
    println!("records {} to {} went together", commit.first_seq, commit.last_seq);

    // A state of all keyspaces at once, which later writes do not change.
    let before = db.snapshot();
    stock.remove("pear")?;
    assert!(before.ordered("stock")?.contains("pear")?);
    assert!(!stock.contains("pear")?);
    drop(before);

    // In the order of their keys; `range` and `prefix` give a part.
    for entry in stock.iter()? {
        let entry = entry?;
        let (key, value) = (entry.key(), entry.value());
        println!("{} = {}", String::from_utf8_lossy(key), String::from_utf8_lossy(value));
    }

    // Closing is not needed for safety. It makes the next opening quick, and reports failures
    // that dropping the handles would have to swallow.
    drop((stock, orders));
    db.close()?;

    let db = Database::open(dir)?;
    let stock = db.open_keyspace("stock")?;
    assert_eq!(stock.get("apple")?.as_deref(), Some(&b"41"[..]));
    assert_eq!(stock.len()?, 1);
    println!("all there after opening again");
    Ok(())
}
