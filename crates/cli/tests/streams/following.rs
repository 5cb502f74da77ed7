//! Following a live writer.

use super::{
    common::{Place, Running, objects},
    error,
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, ChildStdout},
    time::Duration,
};

/// An import that stores each line at once, and holds the lock.
struct Live {
    writer: Running,
    stdin: ChildStdin,
    acks: BufReader<ChildStdout>,
}

impl Live {
    fn start(place: &Place) -> Self {
        let mut writer = place.spawn(&["import-events", "-", "--batch", "1", "--progress-json"]);
        let stdin = writer.child.stdin.take().unwrap();
        let acks = BufReader::new(writer.child.stdout.take().unwrap());
        Self { writer, stdin, acks }
    }

    fn append(&mut self, category: &str, stream: u64, n: u64) {
        let line = json!({"category": category, "stream": stream, "type": "t", "data": n});
        writeln!(self.stdin, "{line}").unwrap();
        let mut ack = String::new();
        self.acks.read_line(&mut ack).unwrap();
        assert!(ack.starts_with("{\"acked\":"), "{ack}");
    }

    fn end(mut self) {
        drop(self.stdin);
        assert!(self.writer.child.wait().unwrap().success());
    }
}

struct Follower {
    command: Running,
    lines: BufReader<ChildStdout>,
}

impl Follower {
    fn start(place: &Place, args: &[&str]) -> Self {
        let mut command = place.spawn(&[args, &["--follow", "--json"]].concat());
        let lines = BufReader::new(command.child.stdout.take().unwrap());
        Self { command, lines }
    }

    fn next(&mut self) -> (Value, Value) {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        let event = objects(&line).remove(0);
        (event["category"].clone(), event["data"].clone())
    }

    /// It must notice by itself that nobody reads any more.
    fn end(mut self) {
        drop(self.lines);
        let status = (0..100).find_map(|_| {
            std::thread::sleep(Duration::from_millis(50));
            self.command.child.try_wait().unwrap()
        });
        assert_eq!(status.expect("it ends within seconds").code(), Some(0));
    }
}

#[test]
fn readers_follow_a_live_writer_until_nobody_reads() {
    let place = Place::new();
    let mut live = Live::start(&place);
    live.append("a", 7, 0);
    let mut stream = Follower::start(&place, &["read", "a", "7"]);
    let mut unborn = Follower::start(&place, &["read", "a", "8"]);
    let mut log = Follower::start(&place, &["log"]);
    let mut one = Follower::start(&place, &["log", "--stream", "b", "--type", "t"]);
    let mut nowhere = Follower::start(&place, &["read", "b", "7"]);
    let event = |category: &str, n: u64| (json!(category), json!(n));
    assert_eq!(stream.next(), event("a", 0));
    assert_eq!(log.next(), event("a", 0));
    for n in 1..30 {
        // The log rolls from one segment to the next meanwhile.
        let (category, id) = [("a", 7), ("b", 7), ("a", 8)][(n % 3) as usize];
        live.append(category, id, n);
        assert_eq!(log.next(), event(category, n));
        match (category, id) {
            ("a", 7) => assert_eq!(stream.next(), event("a", n)),
            ("a", _) => assert_eq!(unborn.next(), event("a", n)),
            _ => {
                assert_eq!(one.next(), event("b", n));
                assert_eq!(nowhere.next(), event("b", n), "its category came later");
            }
        }
    }
    // All that reads works beside the writer.
    assert_eq!(place.json(&["log"]).len(), 30);
    assert_eq!(place.json(&["log", "--stream", "b"]).len(), 10);
    assert_eq!(place.json(&["read", "a", "7", "--backward", "--limit", "3"]).len(), 3);
    assert_eq!(place.json(&["streams"]).len(), 2);
    assert_eq!(place.json(&["streams", "a"]).len(), 2);
    assert_eq!(place.json(&["keyspace", "stats", "a"])[0]["events_count"], 20);
    assert_eq!(error(&place, &["append", "a", "7", "1"]).0, 4);
    for follower in [stream, unborn, log, one, nowhere] {
        follower.end();
    }
    let mut limited = Follower::start(&place, &["log", "--limit", "1"]);
    limited.next();
    assert_eq!(limited.command.child.wait().unwrap().code(), Some(0));
    live.end();
}

#[test]
fn a_follower_keeps_up_over_segments() {
    const EVENTS: u64 = 3_000;
    let place = Place::new();
    let mut live = Live::start(&place);
    live.append("a", 1, 0);
    let mut log = Follower::start(&place, &["log"]);
    let mut stream = Follower::start(&place, &["read", "a", "1"]);
    let fill = "x".repeat(500);
    let appended = std::thread::spawn(move || {
        for n in 1..EVENTS {
            let line = json!({
                "category": "a", "stream": 1, "type": "t", "data": n, "metadata": {"fill": fill},
            });
            writeln!(live.stdin, "{line}").unwrap();
        }
        live
    });
    for n in 0..EVENTS {
        assert_eq!(log.next().1, n);
        assert_eq!(stream.next().1, n);
    }
    let mut live = appended.join().unwrap();
    // Acknowledgements nobody has read yet.
    for _ in 1..EVENTS {
        live.acks.read_line(&mut String::new()).unwrap();
    }
    live.end();
}
