use super::*;
use crate::streams::persistent::state::{decode_progress, encode_progress};
use proptest::{prelude::*, strategy::Strategy};

fn board() -> Board<u64> {
    Board::new(&Progress::default())
}

/// A board with one event of each of these streams, numbered from 1 on.
fn board_of(streams: &[u64]) -> Board<u64> {
    let mut board = board();
    for (seq, stream) in (1..).zip(streams) {
        board.add(Seq(seq), *stream, *stream);
    }
    board
}

fn seq_of(given: Option<Given<u64>>) -> Option<u64> {
    given.map(|given| given.seq.0)
}

#[test]
fn events_of_a_stream_are_with_one_consumer_and_others_go_to_whoever_asks() {
    let mut board = board_of(&[7, 7, 8, 7]);
    let first = board.take(1, 10, 100).unwrap();
    assert_eq!((first.seq, first.attempt), (Seq(1), 1));
    assert_eq!(seq_of(board.take(2, 10, 100)), Some(3));
    assert_eq!(board.take(2, 10, 100), None);
    // The same consumer may have more of the stream.
    assert_eq!(seq_of(board.take(1, 10, 100)), Some(2));
    assert!(board.acknowledge(first.seq, first.delivery));
    assert_eq!(board.take(2, 10, 100), None);
    board.leave(1);
    assert_eq!(seq_of(board.take(2, 10, 100)), Some(2));
    assert_eq!(seq_of(board.take(2, 10, 100)), Some(4));
}

#[test]
fn an_event_that_waits_keeps_its_stream_waiting() {
    let mut board = board_of(&[7, 7, 8]);
    let first = board.take(1, 10, 100).unwrap();
    assert_eq!(board.retry(first.seq, first.delivery, 50, 3), Retried::Waits);
    assert_eq!(seq_of(board.take(1, 10, 100)), Some(3));
    assert_eq!(board.take(1, 10, 100), None);
    assert_eq!(board.next_due_ns(), Some(50));
    assert!(board.expire(49, 3, |_, _| false).is_empty());
    assert_eq!(board.take(1, 10, 100), None);
    assert!(board.expire(50, 3, |_, _| false).is_empty());
    let again = board.take(2, 10, 150).unwrap();
    assert_eq!((again.seq, again.attempt), (Seq(1), 2));
    // Nobody settles by what was given out before.
    assert!(!board.acknowledge(first.seq, first.delivery));
    assert_eq!(board.retry(first.seq, first.delivery, 0, 3), Retried::Over);
    assert!(board.acknowledge(again.seq, again.delivery));
    assert_eq!(seq_of(board.take(2, 10, 150)), Some(2));
}

#[test]
fn what_is_late_comes_back_and_is_given_up_in_the_end() {
    let mut board = board_of(&[7, 8]);
    let first = board.take(1, 10, 100).unwrap();
    assert!(board.expire(100, 2, |_, _| false).is_empty());
    assert_eq!(board.in_flight_count(), 0);
    // Nobody else has it: that it was handled late is as good.
    let mut other = board_of(&[7]);
    let late = other.take(1, 10, 100).unwrap();
    assert!(other.expire(100, 2, |_, _| false).is_empty());
    assert!(other.acknowledge(late.seq, late.delivery));
    assert_eq!(other.len(), 0);

    let again = board.take(2, 10, 200).unwrap();
    assert_eq!(again.seq, first.seq);
    let failed = board.expire(200, 2, |_, _| false);
    assert_eq!(failed, [Failed { seq: Seq(1), place: 7, attempts: 2 }]);
    assert_eq!(seq_of(board.take(2, 10, 300)), Some(2));
    assert_eq!(board.position(), Seq(2));
}

#[test]
fn what_is_being_settled_is_not_late() {
    let mut board = board_of(&[7, 8]);
    let [first, second] = [1, 2].map(|consumer| board.take(consumer, 10, 100).unwrap());
    let is_first = |seq, delivery| (seq, delivery) == (first.seq, first.delivery);
    // The other one is given up.
    assert_eq!(board.expire(200, 1, is_first).len(), 1);
    assert!(board.acknowledge(first.seq, first.delivery));
    assert!(!board.acknowledge(second.seq, second.delivery));
    assert_eq!((board.len(), board.next_due_ns()), (0, None));
}

#[test]
fn no_more_are_in_flight_than_may_be() {
    let mut board = board_of(&[1, 2, 3]);
    let first = board.take(1, 2, 100).unwrap();
    board.take(1, 2, 100).unwrap();
    assert_eq!(board.take(1, 2, 100), None);
    assert!(board.acknowledge(first.seq, first.delivery));
    assert_eq!(seq_of(board.take(2, 2, 100)), Some(3));
}

#[test]
fn progress_leaves_out_what_is_not_settled_and_a_restart_takes_it_up() {
    let mut board = board_of(&[1, 2, 3, 4, 5]);
    let given: Vec<_> = (0..4).map(|_| board.take(1, 10, 100).unwrap()).collect();
    assert_eq!(board.progress(), Progress { next: Seq(1), holes: BTreeMap::new() });
    assert!(board.acknowledge(given[0].seq, given[0].delivery));
    assert!(board.acknowledge(given[2].seq, given[2].delivery));
    let progress = board.progress();
    assert_eq!(progress, Progress { next: Seq(4), holes: [(Seq(2), 1)].into() });
    assert_eq!(progress.position(), Seq(2));

    let mut again = Board::new(&progress);
    assert_eq!(again.progress(), progress);
    for (seq, stream) in [(2, 2), (3, 3), (4, 4), (5, 5)] {
        again.add(Seq(seq), stream, stream);
    }
    assert_eq!(again.read_to(Seq(9)), 0);
    let taken: Vec<_> = (0..3).map(|_| again.take(1, 10, 100).unwrap()).collect();
    let numbers: Vec<_> = taken.iter().map(|given| (given.seq.0, given.attempt)).collect();
    assert_eq!(numbers, [(2, 2), (4, 1), (5, 1)]);
    for given in taken {
        assert!(again.acknowledge(given.seq, given.delivery));
    }
    assert_eq!(again.progress(), Progress { next: Seq(9), holes: BTreeMap::new() });
    // An event that is not there any more is no hole for ever.
    let mut again = Board::<u64>::new(&progress);
    assert_eq!(again.read_to(Seq(3)), 1);
    assert!(again.progress().holes.is_empty());
}

#[test]
fn what_was_parked_comes_in_front_and_is_no_progress() {
    let mut board = board_of(&[1, 2]);
    let first = board.take(1, 10, 100).unwrap();
    assert!(board.give_up(first.seq, first.delivery).is_some());
    assert_eq!(board.position(), Seq(2));
    board.add_again(Seq(1), 1, 1);
    assert_eq!(board.position(), Seq(2));
    let again = board.take(1, 10, 100).unwrap();
    assert_eq!((again.seq, again.attempt), (Seq(1), 1));
    assert_eq!(board.progress(), Progress { next: Seq(2), holes: BTreeMap::new() });
    assert!(board.acknowledge(again.seq, again.delivery));
}

#[test]
fn an_event_that_is_gone_in_front_of_one_that_was_read_is_no_hole() {
    let holes = [(Seq(5), 1), (Seq(6), 1)].into();
    let mut board = Board::new(&Progress { next: Seq(1_000), holes });
    assert_eq!(board.add(Seq(6), 6, 6), 1, "the event 5 is gone");
    assert_eq!(board.add(Seq(1_000), 7, 7), 0);
    assert_eq!(board.position(), Seq(6));
    let holes = [(Seq(6), 1)].into();
    assert_eq!(board.progress(), Progress { next: Seq(1_000), holes });
}

/// What somebody does.
#[derive(Clone, Debug)]
enum Step {
    Append(u64),
    Take(ConsumerId),
    Acknowledge(usize),
    Retry(usize, u64),
    Park(usize),
    Leave(ConsumerId),
    Pass(u64),
    Replay(usize),
    /// An event is truncated, or its time is over.
    Remove(usize),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4u64).prop_map(Step::Append),
        6 => (0..3u64).prop_map(Step::Take),
        4 => any::<usize>().prop_map(Step::Acknowledge),
        1 => (any::<usize>(), 0..20u64).prop_map(|(which, delay)| Step::Retry(which, delay)),
        1 => any::<usize>().prop_map(Step::Park),
        1 => (0..3u64).prop_map(Step::Leave),
        1 => (0..60u64).prop_map(Step::Pass),
        1 => any::<usize>().prop_map(Step::Replay),
        1 => any::<usize>().prop_map(Step::Remove),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 0..200)
}

const ATTEMPTS_MAX: u32 = 4;
const IN_FLIGHT_MAX: usize = 5;
const TIMEOUT: u64 = 30;
const READ_MAX: usize = 8;

/// The board with what is around it, and what is expected of it.
struct World {
    board: Board<u64>,
    /// The stream of each event; the numbers begin with 1.
    events: Vec<u64>,
    now: u64,
    /// What is out, by whom, and until when.
    out: Vec<(Given<u64>, ConsumerId, u64)>,
    settled: BTreeSet<u64>,
    parked: BTreeSet<u64>,
    /// Parked ones that were put back.
    replayed: BTreeSet<u64>,
    /// Those that are not there any more.
    gone: BTreeSet<u64>,
    restarts_count: u32,
}

impl World {
    fn read(&mut self) {
        let next = self.board.next.0.max(1);
        for seq in (next..=self.events.len() as u64).filter(|seq| !self.gone.contains(seq)) {
            if self.board.in_order_count() >= READ_MAX {
                return;
            }
            let stream = self.events[seq as usize - 1];
            self.board.add(Seq(seq), stream, stream);
        }
        self.board.read_to(Seq(self.events.len() as u64 + 1));
    }

    fn settle(&mut self, seq: u64) {
        assert!(self.settled.insert(seq), "{seq} is settled twice");
        self.replayed.remove(&seq);
    }

    fn park(&mut self, failed: &Failed<u64>) {
        self.settle(failed.seq.0);
        assert!(self.parked.insert(failed.seq.0));
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Append(stream) => self.events.push(stream),
            Step::Take(consumer) => self.take(consumer),
            Step::Acknowledge(which) if !self.out.is_empty() => {
                let (given, ..) = self.out.swap_remove(which % self.out.len());
                assert!(self.board.acknowledge(given.seq, given.delivery));
                assert!(!self.board.acknowledge(given.seq, given.delivery));
                self.settle(given.seq.0);
            }
            Step::Retry(which, delay) if !self.out.is_empty() => {
                let (given, ..) = self.out.swap_remove(which % self.out.len());
                let due = self.now + delay;
                match self.board.retry(given.seq, given.delivery, due, ATTEMPTS_MAX) {
                    Retried::Waits => assert!(given.attempt < ATTEMPTS_MAX),
                    Retried::Failed(failed) => {
                        assert!(failed.attempts >= ATTEMPTS_MAX);
                        self.park(&failed);
                    }
                    Retried::Over => panic!("it was out"),
                }
            }
            Step::Park(which) if !self.out.is_empty() => {
                let (given, ..) = self.out.swap_remove(which % self.out.len());
                let failed = self.board.give_up(given.seq, given.delivery).unwrap();
                self.park(&failed);
            }
            Step::Leave(consumer) => {
                self.board.leave(consumer);
                self.out.retain(|(_, of, _)| *of != consumer);
            }
            Step::Pass(time) => self.now += time,
            Step::Replay(which) if !self.parked.is_empty() => {
                let seq = *self.parked.iter().nth(which % self.parked.len()).unwrap();
                self.parked.remove(&seq);
                if self.gone.contains(&seq) {
                    return;
                }
                self.settled.remove(&seq);
                self.replayed.insert(seq);
                let stream = self.events[seq as usize - 1];
                self.board.add_again(Seq(seq), stream, stream);
            }
            Step::Remove(which) if !self.events.is_empty() => {
                self.gone.insert((which % self.events.len()) as u64 + 1);
            }
            Step::Restart => {
                self.restarts_count += 1;
                self.board = Board::new(&self.board.progress());
                for seq in self.replayed.clone() {
                    let stream = self.events[seq as usize - 1];
                    self.board.add_again(Seq(seq), stream, stream);
                }
                self.out.clear();
            }
            _ => {}
        }
    }

    fn take(&mut self, consumer: ConsumerId) {
        for failed in self.board.expire(self.now, ATTEMPTS_MAX, |_, _| false) {
            assert!(failed.attempts >= ATTEMPTS_MAX);
            self.park(&failed);
        }
        self.out.retain(|(.., until)| *until > self.now);
        let until = self.now + TIMEOUT;
        let given = loop {
            self.read();
            let Some(given) = self.board.take(consumer, IN_FLIGHT_MAX, until) else { return };
            if !self.gone.contains(&given.seq.0) {
                break given;
            }
            assert!(self.board.acknowledge(given.seq, given.delivery));
            self.settle(given.seq.0);
        };
        assert!(self.out.len() < IN_FLIGHT_MAX);
        assert!(!self.settled.contains(&given.seq.0), "{} was settled", given.seq.0);
        // What was out at a restart is given out once more than it may be.
        assert!(given.attempt <= ATTEMPTS_MAX + self.restarts_count);
        for (other, of, _) in &self.out {
            assert_ne!(other.seq, given.seq, "it is out already");
            assert!(*of == consumer || other.place != given.place, "two have one stream");
        }
        // What comes in front of it in its stream is settled, or with the same consumer.
        for seq in (1..given.seq.0).filter(|seq| self.events[*seq as usize - 1] == given.place) {
            let is_out = self.out.iter().any(|(other, ..)| other.seq.0 == seq);
            let is_over = self.settled.contains(&seq) || self.gone.contains(&seq);
            assert!(is_out || is_over, "{seq} waits in front of it");
        }
        self.out.push((given, consumer, until));
    }

    fn check(&self) {
        assert_eq!(self.board.in_flight_count(), self.board.due_in_flight());
        let progress = self.board.progress();
        // Nothing that is not settled is passed over.
        for seq in 1..progress.next.0 {
            let is_hole = progress.holes.contains_key(&Seq(seq));
            let is_known = self.settled.contains(&seq) || self.replayed.contains(&seq);
            assert!(!is_hole || !is_known, "{seq} is given out again");
            assert!(is_hole || is_known || self.gone.contains(&seq), "{seq} is lost");
        }
        assert!(progress.position() <= progress.next);
        // What is written can be read.
        assert_eq!(decode_progress(&encode_progress(&progress)), Some(progress));
    }

    /// Whether there is nothing left to do.
    fn is_done(&self) -> bool {
        let is_over = |seq| self.settled.contains(&seq) || self.gone.contains(&seq);
        (1..=self.events.len() as u64).all(is_over)
    }
}

impl<P> Board<P> {
    fn due_in_flight(&self) -> usize {
        let is_out = |item: &&Item<P>| matches!(item.state, State::InFlight { .. });
        self.items.values().filter(is_out).count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 8 } else { 400 }))]

    #[test]
    fn no_event_is_lost_or_out_twice_and_streams_keep_their_order(steps in steps()) {
        let board = board();
        let (settled, parked, replayed, gone) = Default::default();
        let (events, out) = (Vec::new(), Vec::new());
        let (now, restarts_count) = (0, 0);
        let mut world =
            World { board, events, now, out, settled, parked, replayed, gone, restarts_count };
        for step in &steps {
            world.step(step);
            world.check();
        }
        // In the end all is settled, each event once.
        world.board.leave(0);
        world.board.leave(1);
        world.board.leave(2);
        world.out.clear();
        world.now += 1_000;
        loop {
            world.step(&Step::Take(1));
            if world.out.is_empty() {
                break;
            }
            world.step(&Step::Acknowledge(0));
        }
        prop_assert!(world.is_done());
        prop_assert_eq!(world.board.len(), 0);
        prop_assert_eq!(world.board.lanes.len(), 0);
        prop_assert!(world.board.free.is_empty() && world.board.bound.is_empty());
        prop_assert!(world.board.due.is_empty());
    }
}
