//! Every public path, and what may cross threads: a change here is a change for the crates above.

#![allow(unused_imports, reason = "that the paths exist is the test")]

use annals_journal::{
    Address, Appended, Background, Config, Damage, Draft, Durability, Error, Feed, Followed,
    FrameBuilder, FrameHeader, FrameKind, FrameView, Hold, Journal, KEY_BYTES_MAX, Kind, LOCK_NAME,
    LogReport, Opened, Opening, PUT_AWAY_NAME, Packer, Position, ROOT_NAME, ROOT_VERSION, Record,
    Recovery, Result, Root, RootCheckpoint, RootSegment, SEGMENT_VERSION, SegmentGuard,
    SegmentInfo, SegmentKind, Seq, VALUE_BYTES_MAX, Writer, checkpoint_name, lock,
    segment_file_name,
};

#[test]
fn what_is_shared_between_threads_may_be() {
    fn shared<T: Send + Sync>() {}
    shared::<Journal>();
    shared::<SegmentGuard<'_>>();
    shared::<Feed>();
    shared::<Hold>();
    shared::<Packer<'_>>();
    shared::<FrameBuilder<'_>>();
    shared::<Error>();
    shared::<Root>();
}
