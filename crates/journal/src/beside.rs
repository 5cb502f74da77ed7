//! Handing frames that were checked to another thread: while one finds out where the log ends, the other
//! looks at what it says.

use crate::{Result, frame::FrameView, segment::Segment};
use parking_lot::Mutex;
use std::{
    mem,
    ops::Range,
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    thread::{self, Scope},
};

/// So many bytes of frames are handed over at a time. With fewer in all there is no other thread.
const STRETCH_BYTES: usize = 256 * 1024;

/// Frames side by side in a segment.
#[derive(Debug, Default)]
struct Stretch {
    slot: u32,
    bytes: Range<usize>,
}

/// Who looks at frames.
struct Looking<'e> {
    segments: Vec<Arc<Segment>>,
    apply: &'e mut (dyn FnMut(&FrameView<'_>) + Send),
}

impl Looking<'_> {
    fn look(&mut self, stretch: &Stretch) {
        let of_slot = |segment: &&Arc<Segment>| segment.slot == stretch.slot;
        let Some(segment) = self.segments.iter().find(of_slot) else { return };
        let mut at = stretch.bytes.start;
        while at < stretch.bytes.end
            && let Some(frame) = FrameView::of_checked(segment, at)
        {
            (self.apply)(&frame);
            at += frame.header().len as usize;
        }
    }
}

/// Frames that were checked, on their way to who looks at them.
pub(crate) struct Checked<'s, 'e> {
    scope: &'s Scope<'s, 'e>,
    looking: &'e Mutex<Looking<'e>>,
    /// To the thread, once there is one.
    thread: Option<Sender<Stretch>>,
    next: Stretch,
}

impl Checked<'_, '_> {
    /// Adds a frame of one of the segments.
    pub(crate) fn push(&mut self, frame: &FrameView<'_>) {
        let (slot, bytes) = frame.place();
        if self.next.slot != slot || self.next.bytes.end != bytes.start {
            self.send();
            self.next = Stretch { slot, bytes: bytes.clone() };
        }
        self.next.bytes.end = bytes.end;
        if self.next.bytes.len() >= STRETCH_BYTES {
            self.start();
            self.send();
        }
    }

    /// Starts the thread. Without one it takes longer.
    fn start(&mut self) {
        if self.thread.is_none() {
            let (sender, stretches) = channel::<Stretch>();
            let looking = self.looking;
            let run = move || stretches.into_iter().for_each(|some| looking.lock().look(&some));
            let thread = thread::Builder::new().name("annals-replaying".into());
            self.thread = thread.spawn_scoped(self.scope, run).ok().map(|_| sender);
        }
    }

    fn send(&mut self) {
        let Stretch { slot, bytes } = mem::take(&mut self.next);
        self.next = Stretch { slot, bytes: bytes.end..bytes.end };
        let stretch = Stretch { slot, bytes };
        match &self.thread {
            // Who does not receive has panicked, which comes to light at the end of the scope.
            Some(thread) => drop(thread.send(stretch)),
            None => self.looking.lock().look(&stretch),
        }
    }
}

/// Does `work`, which checks frames of these segments, while another thread hands them to `apply`, in their order.
/// When this returns, `apply` has had them all.
pub(crate) fn run<T>(
    segments: Vec<Arc<Segment>>,
    apply: &mut (dyn FnMut(&FrameView<'_>) + Send),
    work: impl FnOnce(&mut Checked<'_, '_>) -> Result<T>,
) -> Result<T> {
    let looking = Mutex::new(Looking { segments, apply });
    thread::scope(|scope| {
        let next = Stretch::default();
        let mut checked = Checked { scope, looking: &looking, thread: None, next };
        let done = work(&mut checked);
        checked.send();
        done
    })
}
