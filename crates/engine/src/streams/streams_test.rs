use super::{ExpectedVersion::*, *};
use crate::{Background, Builder, Database, Error, Result};
use annals_disk::{Disk, SimDisk, SimOptions};
use annals_events::EventFormat;
use annals_journal::Seq;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

#[path = "streams_test/appending.rs"]
mod appending;
#[path = "streams_test/following.rs"]
mod following;
#[path = "streams_test/full_disk.rs"]
mod full_disk;
#[path = "streams_test/reading.rs"]
mod reading;
#[path = "streams_test/scanning.rs"]
mod scanning;

fn small(disk: &SimDisk) -> Builder {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual)
}

fn data_of(event: &RecordedEvent<'_>) -> Vec<u8> {
    event.data().to_vec()
}

fn all(category: &Category, id: u64) -> Result<Vec<Vec<u8>>> {
    category.read(id)?.map(|event| Ok(data_of(&event?))).collect()
}

/// What the streams of a category should be.
type Model = BTreeMap<u64, Vec<Vec<u8>>>;

/// Everything that a category has agrees with the model, whichever way it is read.
fn check(db: &Database, category: &Category, model: &Model) -> Result<()> {
    let mut in_order: BTreeMap<Seq, (u64, u64)> = BTreeMap::new();
    for (id, events) in model {
        assert_eq!(category.len(*id)?, events.len() as u64);
        let mut last_seq = Seq::ZERO;
        for (version, event) in category.read(*id)?.enumerate() {
            let event = event?;
            assert_eq!((event.version(), event.stream()), (version as u64, (*id).into()));
            assert_eq!(event.data(), events[version], "stream {id}, version {version}");
            assert!(event.data().as_ptr().addr().is_multiple_of(8));
            assert!(event.seq() > last_seq);
            last_seq = event.seq();
            in_order.insert(last_seq, (*id, version as u64));
        }
        let mut back: Vec<_> = category.read(*id)?.back().collect::<Result<_>>()?;
        back.reverse();
        assert_eq!(back.iter().map(data_of).collect::<Vec<_>>(), *events);
        for version in [0, events.len() as u64 / 2, events.len() as u64 - 1] {
            let event = category.get(*id, version)?.expect("it has this version");
            assert_eq!(event.data(), events[version as usize]);
        }
        assert!(category.get(*id, events.len() as u64)?.is_none());
    }
    let mut read = Vec::new();
    for event in db.read_all(Seq::ZERO)? {
        let event = event?;
        let StreamId::Number(id) = event.stream() else { panic!("{event:?}") };
        assert_eq!(event.data(), model[&id][event.version() as usize]);
        read.push((event.seq(), (id, event.version())));
    }
    assert_eq!(read, in_order.into_iter().collect::<Vec<_>>());
    Ok(())
}
