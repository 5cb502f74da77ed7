//! Streams: what happened, in order.
//!
//! A category is a keyspace whose keys are streams. An event is one record of it; the table of the
//! category leads from a stream to its newest event, and each event says where the one before it is. So
//! a stream takes a slot in a table, whatever its length, and a slot more for each [`SPAN`](chains::SPAN)
//! of its events.

mod aggregate;
mod ahead;
mod batch;
mod category;
mod chains;
mod cursor;
mod event;
mod expected;
pub(crate) mod extra;
mod filter;
mod find;
mod follower;
mod hash_chain;
mod id;
mod label;
mod left;
mod lifecycle;
mod look_again;
mod mark;
pub(crate) mod meanwhile;
mod moving;
mod nearby;
mod new_events;
mod persistent;
mod pieces;
mod plan;
mod projection;
#[cfg(test)]
#[path = "streams/races_test.rs"]
mod races_test;
mod reader;
mod retire;
#[cfg(test)]
#[path = "streams/retire_test.rs"]
mod retire_test;
mod scan;
mod signposts;
#[cfg(test)]
#[path = "streams/streams_test.rs"]
mod streams_test;
mod stretch;
mod subscription;
mod take;
mod typed;
mod typed_batch;
mod types;
mod verify_chain;
mod watcher;
mod work;

pub use aggregate::{Aggregate, Aggregates, Handle, Loaded};
pub use batch::{BatchEvents, Batches, EventBatch};
pub use category::{Appended, Category};
pub(crate) use chains::{Chains, SPAN, id_hash, is_waypoint, version_hash, waypoint_of};
pub(crate) use event::Read;
pub use event::{EventType, NewEvent, RecordedEvent};
pub use expected::ExpectedVersion;
pub(crate) use filter::Filter;
pub(crate) use find::{Event, IdRehasher, Stream, VersionRehasher, leads_to};
pub use follower::{Follower, Following};
pub use hash_chain::{ChainHead, EventHash};
pub(crate) use hash_chain::{Link, check_built, content_hash, hash_of};
pub use id::{STREAM_ID_BYTES_MAX, StreamId};
pub(crate) use id::{StreamKey, id_of_key};
pub(crate) use label::{Before, LABEL_BYTES_MAX, Label};
pub use lifecycle::StreamInfo;
pub(crate) use mark::{MARK_BYTES, Mark};
pub use mark::{Retention, StreamMark};
pub(crate) use moving::{EventFate, MovedEvent, Moving};
pub(crate) use new_events::NewEvents;
pub use persistent::{
    Consumer, Delivery, Parked, PersistentInfo, PersistentOptions, PersistentSubscription,
    Replayed, StartAt, Strategy, Ticket,
};
pub(crate) use persistent::{Registry, flush_all};
pub(crate) use pieces::Index;
pub(crate) use plan::{Append, Plan, PlannedRun, check, read_record};
pub(crate) use projection::Resets;
pub use projection::{Projection, ProjectionInfo, Projector};
pub use reader::StreamReader;
pub use scan::Events;
pub(crate) use signposts::Signposts;
pub use subscription::Subscription;
pub use typed::{EventsOf, Streams, TypedEvent, TypedFollower};
pub use typed_batch::{TypedBatch, TypedBatchEvents};
pub(crate) use types::EventTypes;
pub use verify_chain::VerifiedChain;
pub(crate) use verify_chain::verify_chains;
pub use watcher::Watcher;
pub(crate) use watcher::wait_for;
pub use work::Work;

/// Appends what an event has beside its data to `out`, with room for hashes if its category is chained.
pub(crate) fn encode_extra(event: &NewEvent<'_>, is_chained: bool, out: &mut Vec<u8>) {
    let link = is_chained.then(Link::default);
    extra::encode(&event.ids, link.as_ref(), &event.pairs, out);
}
