//! Applying a frame that is events of one stream and nothing else, as most long ones of streams are.

use super::Core;
use crate::{
    hash::Placed,
    streams::{PlannedRun, SPAN, read_record, waypoint_of},
};
use annals_journal::{Appended, FrameBuilder, Kind, Seq, pin};

impl Core {
    /// Applies such a frame: readers come in by its last event, by those that are waypoints and by those that have
    /// ids, so nothing else of it is looked at. Returns the number of the last event.
    pub(super) fn apply_planned_run(
        &self,
        frame: &FrameBuilder<'_>,
        run: &PlannedRun<'_>,
        appended: &Appended,
    ) -> Seq {
        let PlannedRun { category, hash, key, first_version, .. } = *run;
        let placed = |index: usize| {
            let address = appended.address(frame.offset(index));
            let (len, seq) = (frame.record_len(index), appended.first_seq.plus(index as u64));
            let (kind, space, expires_ms) = (Kind::Event, category.id, None);
            Placed { address, len, seq, hash, kind, space, key, expires_ms }
        };
        let last = frame.count() - 1;
        let read = |index: usize| {
            let read = read_record(&frame.record(index)).expect("an event that was just encoded");
            (read, placed(index))
        };
        let pin = pin();
        let mut changing = category.view.read(&pin).change(self);
        changing.begin_frame(appended.first_seq);
        let ((first_read, _), first) = read(0);
        let before = first_read.label.address_before(first.address);
        changing.count_in(&first, frame.offset(last) - frame.offset(0));
        let behind = first_version + last as u64;
        for version in (waypoint_of(first_version)..behind).step_by(SPAN as usize) {
            changing.lead_to_waypoint(&placed((version - first_version) as usize), version);
        }
        for (index, id) in run.ids().filter(|(index, _)| *index < last) {
            changing.lead_to_id(&placed(index), id);
        }
        let ((last_read, id), placed) = read(last);
        changing.append_run(&placed, before, &last_read, id);
        self.show(placed.seq);
        placed.seq
    }
}
