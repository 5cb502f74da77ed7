//! What can go wrong, small on the outside: a kind that says what to do, and a message that says
//! what, where and the remedy.
//!
//! `variants` has the errors with their messages, `kind` what kind each of them is.

mod kind;
mod variants;

pub use kind::ErrorKind;
pub use variants::Error;

/// The result of a database operation.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, Result};
/// fn take_order(db: &Database) -> Result<u64> {
///     let orders = db.hash_keyspace("orders")?;
///     orders.insert("17", "one apple")?;
///     Ok(orders.len())
/// }
/// assert_eq!(take_order(&Database::open_in_memory()?)?, 1);
/// # Ok::<(), annals::Error>(())
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;
