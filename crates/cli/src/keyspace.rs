//! A keyspace of keys and values, as commands use it: which kind it is, the catalog says.

mod walk;

use crate::{
    failure::{Failure, Result},
    output::brief,
    session::Session,
    wanted::Wanted,
};
use annals::{
    Database, Error, ErrorKind, HashKeyspace, KeyspaceInfo, KeyspaceKind, KeyspaceOptions,
    OrderedKeyspace, TreeOptions, WriteBatch, WriteOptions,
};
use std::ops::ControlFlow;

/// A keyspace of keys and values, of either kind.
#[derive(Debug)]
pub(crate) enum Keyspace {
    Hash(HashKeyspace),
    Ordered(OrderedKeyspace),
}

/// Makes the keyspace `name`, which must not be there.
pub(crate) fn make(
    db: &Database,
    name: &str,
    kind: KeyspaceKind,
    options: KeyspaceOptions,
) -> Result<()> {
    match kind {
        KeyspaceKind::Ordered => drop(db.create_keyspace(name, options, TreeOptions::default())?),
        KeyspaceKind::Streams => drop(db.create_category(name, options)?),
        _ => drop(db.create_hash_keyspace(name, options)?),
    }
    Ok(())
}

/// The keyspace `name` in the catalog, which must be there.
pub(crate) fn find(db: &Database, name: &str) -> Result<KeyspaceInfo> {
    let found = db.keyspaces().into_iter().find(|info| info.name == name);
    found.ok_or_else(|| unknown(db, name))
}

/// A keyspace that is not there, with those that are.
pub(crate) fn unknown(db: &Database, name: &str) -> Failure {
    unknown_of(db, name, "keyspace", |_| true)
}

/// A keyspace that is not there, with those that are of a kind that `fits` and is called `what`.
pub(crate) fn unknown_of(
    db: &Database,
    name: &str,
    what: &str,
    fits: impl Fn(KeyspaceKind) -> bool,
) -> Failure {
    const SHOWN: usize = 10;
    let mut all = db.keyspaces();
    all.retain(|info| fits(info.kind));
    let shown: Vec<String> =
        all.iter().take(SHOWN).map(|info| format!("`{}`", brief(info.name.as_bytes()))).collect();
    let there = match (all.len(), all.len().saturating_sub(SHOWN)) {
        (0, _) => "the database has none".to_owned(),
        (_, 0) => format!("there is {}", shown.join(", ")),
        (_, more) => format!("there is {} and {more} more", shown.join(", ")),
    };
    Failure::not_found(format!("there is no {what} `{}`; {there}", brief(name.as_bytes())))
}

/// The failure, where a name that nothing can have was meant for `of` and not just for any keyspace.
pub(crate) fn named_badly(error: Error, of: &'static str) -> Failure {
    match error {
        Error::InvalidName { name, why, .. } => Error::InvalidName { name, of, why }.into(),
        other => other.into(),
    }
}

/// A category of streams has commands of its own.
fn is_category(name: &str) -> Failure {
    let name = brief(name.as_bytes());
    Failure::usage(format!(
        "`{name}` is a category of streams: `annals read {name} ID` reads a stream of it, `annals log \
         --stream {name}` all of them, `annals append {name} ID JSON` adds to one"
    ))
}

impl Keyspace {
    /// The keyspace `name`, which must be there.
    pub(crate) fn open(db: &Database, name: &str) -> Result<Self> {
        match db.open_hash_keyspace(name) {
            Ok(keyspace) => Ok(Self::Hash(keyspace)),
            Err(error) => match error.kind() {
                ErrorKind::NotFound => Err(unknown(db, name)),
                _ => match find(db, name)?.kind {
                    KeyspaceKind::Ordered => Ok(Self::Ordered(db.open_keyspace(name)?)),
                    KeyspaceKind::Streams => Err(is_category(name)),
                    _ => Err(error.into()),
                },
            },
        }
    }

    /// The keyspace `name`, made if it is not there, of `kind` if that is said. One that is there is
    /// taken as it is, but must be of the kind that is asked for.
    pub(crate) fn open_or_make(
        db: &Database,
        name: &str,
        kind: Option<KeyspaceKind>,
    ) -> Result<Self> {
        let there = db.keyspaces().into_iter().find(|info| info.name == name);
        match (there.map(|info| info.kind), kind) {
            (Some(KeyspaceKind::Streams), _) => Err(is_category(name)),
            (Some(there), Some(kind)) if there != kind => Err(Failure::usage(format!(
                "the keyspace `{}` is of kind {there}, and stays it; leave --kind away, or name \
                 another keyspace",
                brief(name.as_bytes())
            ))),
            (Some(_), _) => Self::open(db, name),
            (None, kind) => {
                make(db, name, kind.unwrap_or_default(), KeyspaceOptions::default())?;
                Self::open(db, name)
            }
        }
    }

    /// The keyspace `name`, which must be there, in a handle of its database that only reads.
    pub(crate) fn open_to_read(session: &Session, name: &str) -> Result<(Database, Self)> {
        let db = session.reader()?;
        let keyspace = Self::open(&db, name)?;
        Ok((db, keyspace))
    }

    /// The keyspace as an ordered one, for what `what` needs an order of keys for.
    pub(crate) fn ordered(&self, what: &str) -> Result<&OrderedKeyspace> {
        match self {
            Self::Ordered(keyspace) => Ok(keyspace),
            Self::Hash(keyspace) => Err(Failure::usage(format!(
                "{what} works on ordered keyspaces, and `{}` is a hash keyspace, whose keys have no \
                 order; `annals keyspace create NAME --kind ordered` makes an ordered one",
                brief(keyspace.name().as_bytes())
            ))),
        }
    }

    /// What `found` makes of the value of `key`; `None` if it is not there.
    pub(crate) fn get_with<R>(
        &self,
        key: &[u8],
        found: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        Ok(match self {
            Self::Hash(keyspace) => keyspace.get(key)?.map(|value| found(&value)),
            Self::Ordered(keyspace) => keyspace.get(key)?.map(|value| found(&value)),
        })
    }

    /// Whether `key` is there.
    pub(crate) fn contains(&self, key: &[u8]) -> Result<bool> {
        Ok(match self {
            Self::Hash(keyspace) => keyspace.contains(key)?,
            Self::Ordered(keyspace) => keyspace.contains(key)?,
        })
    }

    /// Gives `key` a value, in a commit of its own.
    pub(crate) fn insert(&self, key: &[u8], value: &[u8], options: WriteOptions) -> Result<()> {
        match self {
            Self::Hash(keyspace) => drop(keyspace.insert_with(key, value, options)?),
            Self::Ordered(keyspace) => drop(keyspace.insert_with(key, value, options)?),
        }
        Ok(())
    }

    /// Will give `key` a value with the batch.
    pub(crate) fn insert_into(
        &self,
        batch: &mut WriteBatch,
        key: &[u8],
        value: &[u8],
    ) -> Result<()> {
        match self {
            Self::Hash(keyspace) => batch.insert(keyspace, key, value)?,
            Self::Ordered(keyspace) => batch.insert(keyspace, key, value)?,
        }
        Ok(())
    }

    /// Removes `key`; whether it was there.
    pub(crate) fn remove(&self, key: &[u8]) -> Result<bool> {
        Ok(match self {
            Self::Hash(keyspace) => keyspace.remove(key)?,
            Self::Ordered(keyspace) => keyspace.remove(key)?,
        })
    }

    /// How many records there are. An ordered keyspace is read through to count them.
    pub(crate) fn count(&self) -> Result<u64> {
        Ok(match self {
            Self::Hash(keyspace) => keyspace.len(),
            Self::Ordered(keyspace) => keyspace.len()?,
        })
    }

    /// Whether there are no records.
    pub(crate) fn is_empty(&self) -> Result<bool> {
        Ok(match self {
            Self::Hash(keyspace) => keyspace.is_empty(),
            Self::Ordered(keyspace) => keyspace.is_empty()?,
        })
    }

    /// Calls `each` with the records that are asked for, as they are now, until it breaks. It is told
    /// of damage too, and what can be read all the same comes behind it. Without `with_values` the values
    /// of ordered keyspaces are empty, and not looked at.
    pub(crate) fn visit(
        &self,
        wanted: &Wanted,
        with_values: bool,
        mut each: impl FnMut(Result<(&[u8], &[u8])>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        match self {
            Self::Hash(keyspace) => {
                for entry in keyspace.iter()? {
                    let flow = match &entry {
                        Ok(entry) if entry.key().starts_with(&wanted.prefix) => {
                            each(Ok((entry.key(), entry.value())))?
                        }
                        Ok(_) => continue,
                        Err(error) => each(Err(error.clone().into()))?,
                    };
                    if flow.is_break() {
                        break;
                    }
                }
                Ok(())
            }
            Self::Ordered(keyspace) => walk::visit(keyspace, wanted, with_values, each),
        }
    }
}
