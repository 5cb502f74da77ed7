//! Events of Rust types out of a damaged log: what is read in place is what was written, whichever way it is read.

use super::Known;
use annals_engine::{Category, Database, Error, Seq, StreamId, Streams};
use annals_events::{Event, EventBuf};

#[derive(Event)]
#[event(name = "Named", crate = annals_events)]
struct OldNamed {
    name: String,
}

#[derive(Event, Debug, PartialEq)]
#[event(version = 2, from(1 = OldNamed), crate = annals_events)]
struct Named {
    name: String,
    tags: Vec<u32>,
}

impl From<OldNamed> for Named {
    fn from(old: OldNamed) -> Self {
        Self { name: old.name, tags: vec![1] }
    }
}

#[derive(Event, Debug, PartialEq)]
#[event(crate = annals_events)]
enum Told {
    Named(Named),
    #[event(name = "Counted")]
    Counted {
        count: u64,
        why: Option<String>,
    },
}

impl Told {
    fn of(view: &ToldView<'_>) -> Self {
        match view {
            ToldView::Named(view) => Self::Named(Named {
                name: view.name.to_string(),
                tags: view.tags.iter().map(|tag| tag.to_native()).collect(),
            }),
            ToldView::Counted(view) => Self::Counted {
                count: view.count.to_native(),
                why: view.why.as_ref().map(ToString::to_string),
            },
        }
    }
}

const CATEGORY: &str = "typed";

/// Appends archives of every type and version. Tells `done` of each commit.
pub(crate) fn append(db: &Database, from: u64, mut done: impl FnMut()) {
    let old = db.stream::<OldNamed>(CATEGORY);
    // Once there are newer ones, nobody opens the category for the old ones alone.
    if let Ok(old) = old {
        old.append("ada", &OldNamed { name: "a name that is not kept inline".into() }).unwrap();
        done();
    }
    let streams = db.stream::<Told>(CATEGORY).unwrap();
    for n in from..from + 2 {
        let named = Named { name: format!("number {n}"), tags: (0..n as u32).collect() };
        let why = n.is_multiple_of(2).then(|| "because it was counted".to_owned());
        streams
            .append_batch("ada", &[Told::Named(named), Told::Counted { count: n, why }])
            .unwrap();
        done();
        let why = Some(format!("it was {n}"));
        streams.append(7u64, &Told::Counted { count: n, why }).unwrap();
        done();
    }
}

/// What was written, by what is known of its bytes.
fn told(events: &[Known], is_wanted: impl Fn(&Known) -> bool) -> Vec<Told> {
    let is_archive = |event: &&Known| event.category == CATEGORY && is_wanted(event);
    events
        .iter()
        .filter(is_archive)
        .map(|event| {
            let (name, version) = event.of_type.split_once(" v").unwrap();
            let bytes = EventBuf::copy_of(&event.data);
            Told::decode(name, version.parse().unwrap(), bytes.as_bytes()).unwrap()
        })
        .collect()
}

/// Each way to read some events, up to its first error.
macro_rules! each_way {
    ($begin:expr, $expected:expr, $judge:expr) => {
        let mut found = Vec::new();
        let outcome = $begin.and_then(|events| {
            events.each_view(|view| {
                found.push(Told::of(&view));
                Ok(())
            })
        });
        $judge("each_view", found, outcome, $expected)?;
        let mut found = Vec::new();
        let outcome = $begin.and_then(|mut events| {
            events.try_for_each(|event| {
                found.push(Told::of(&event?.view()?));
                Ok(())
            })
        });
        $judge("view", found, outcome, $expected)?;
        let mut found = Vec::new();
        let outcome = $begin.and_then(|events| {
            events.values().try_for_each(|event| {
                found.push(event?);
                Ok(())
            })
        });
        $judge("values", found, outcome, $expected)?;
        let mut found = Vec::new();
        let outcome = $begin.and_then(|events| {
            events.batches().try_for_each(|batch| {
                batch?.views().try_for_each(|view| {
                    found.push(Told::of(&view?));
                    Ok(())
                })
            })
        });
        $judge("views", found, outcome, $expected)?;
    };
}

/// Whether all archives that are read are what was written, or an error that `failed` is told.
pub(crate) fn compare(
    db: &Database,
    events: &[Known],
    mut failed: impl FnMut(&Error),
) -> Result<(), String> {
    let category = db.open_category(CATEGORY).map_err(|error| error.to_string())?;
    let streams: Streams<Told> = db.stream(CATEGORY).map_err(|error| error.to_string())?;
    let mut judge = |way: &str, found: Vec<Told>, outcome: Result<(), Error>, expected: &[Told]| {
        let is_prefix = expected.starts_with(&found);
        if let Err(error) = &outcome {
            failed(error);
        }
        match is_prefix && (outcome.is_err() || found.len() == expected.len()) {
            true => Ok(()),
            false => Err(format!("archives by {way}: {found:?}, not {expected:?}: {outcome:?}")),
        }
    };
    each_way!(streams.read_all(Seq::ZERO), &told(events, |_| true), judge);
    for id in [StreamId::Text("ada".into()), StreamId::Number(7)] {
        let mut expected = told(events, |event| event.stream == id);
        each_way!(streams.read(&id), &expected, judge);
        each_one(&category, &streams, &id, &expected, &mut judge)?;
        expected.reverse();
        each_way!(streams.read_back(&id), &expected, judge);
    }
    Ok(())
}

type Judge<'j> = dyn FnMut(&str, Vec<Told>, Result<(), Error>, &[Told]) -> Result<(), String> + 'j;

/// Each event alone.
fn each_one(
    category: &Category,
    streams: &Streams<Told>,
    id: &StreamId<'_>,
    expected: &[Told],
    judge: &mut Judge<'_>,
) -> Result<(), String> {
    for (version, expected) in (0..).zip(expected.chunks(1)) {
        for is_view in [true, false] {
            let outcome = streams.get(id, version).and_then(|event| {
                let event = event.ok_or(Error::NoEvents)?;
                if is_view { Ok(Told::of(&event.view()?)) } else { event.decode() }
            });
            match outcome {
                Ok(found) => judge("get", vec![found], Ok(()), expected)?,
                Err(error) => judge("get", Vec::new(), Err(error), expected)?,
            }
        }
    }
    // What is behind the last one was not made of damage.
    let behind = category.get(id, expected.len() as u64).map(|event| assert!(event.is_none()));
    judge("the end", Vec::new(), behind, &[])
}
