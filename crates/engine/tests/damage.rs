//! Every byte of every file flipped, every length cut: the answer is the right one, a typed error
//! that names the file, or a repair that says what it did.
//!
//! What carries no information and so may change unnoticed:
//! * zeroes behind the content of a segment (they are reserved space);
//! * `annals.lock`, whose text is for people, and `annals.figures`, on which nothing depends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "damage/judge.rs"]
mod judge;
mod sample;

use judge::{Case, Rules};
use sample::{Sample, content_end};

/// Files that carry no information.
const NO_DATA: [&str; 2] = ["annals.lock", "annals.figures"];

/// A bit for each byte, the same in each run.
fn bit(at: usize) -> u8 {
    let mixed = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 61) as u8
}

/// Whether all eight bits of each byte are tried, and every length.
fn is_small(bytes: &[u8]) -> bool {
    bytes.len() <= 1024
}

fn flip_everything(sample: &Sample, rules: Rules) -> u64 {
    let mut count = 0;
    for (path, bytes) in &sample.image.0 {
        let name = path.file_name().unwrap().to_str().unwrap();
        let end = if name.ends_with(".seg") { content_end(bytes) } else { bytes.len() };
        for at in 0..bytes.len() {
            // Behind the content: every byte of the first line, then a few of each page.
            if at >= end + 64 && !at.is_multiple_of(997) {
                continue;
            }
            let bits = if is_small(bytes) { 0..8 } else { bit(at)..bit(at) + 1 };
            for bit in bits {
                let mut image = sample.image.clone();
                image.file(name)[at] ^= 1 << bit;
                let what = format!("{name}: bit {bit} of byte {at} flipped");
                let informs = Some(at < end && !NO_DATA.contains(&name));
                Case { sample, image, name, what, informs, rules, nth: count }.judge();
                count += 1;
            }
        }
    }
    count
}

fn cut_everywhere(sample: &Sample, rules: Rules) -> u64 {
    let mut count = 0;
    for (path, bytes) in &sample.image.0 {
        let name = path.file_name().unwrap().to_str().unwrap();
        let end = if name.ends_with(".seg") { content_end(bytes) } else { bytes.len() };
        for len in 0..bytes.len() {
            // Frames begin on multiples of sixteen, records on multiples of eight.
            let near = (len + 1) % 8 <= 2 || len.is_multiple_of(13);
            let sampled = (len <= end && near) || len.is_multiple_of(1021);
            if !(is_small(bytes) || sampled) {
                continue;
            }
            let mut image = sample.image.clone();
            image.file(name).truncate(len);
            let what = format!("{name}: cut to {len} bytes");
            // Without the room for one more frame behind its end, a log that was not closed may
            // have been longer.
            let undecided = rules.unclean && (end..end + 48).contains(&len);
            let informs = (!undecided).then_some(len < end && !NO_DATA.contains(&name));
            Case { sample, image, name, what, informs, rules, nth: count }.judge();
            count += 1;
        }
    }
    count
}

#[test]
fn the_sample_has_what_it_claims() {
    let sample = sample::closed();
    let db = sample.image.open().unwrap();
    assert_eq!(&sample::contents(&db), sample.last());
    assert!(db.verify(&mut |_| {}).unwrap().is_intact());
    assert!(sample.image.names_with(".seg").len() >= 4, "{:?}", sample.image.names());
    assert_eq!(sample.image.names_with(".ckp").len(), 1);
    let len: usize = sample.last().values().map(|records| records.len()).sum();
    assert!(len > 100, "{len} records");
}

#[test]
fn flips_after_a_clean_close() {
    let count = flip_everything(&sample::closed(), Rules::CLOSED);
    println!("{count} flips after a clean close");
}

#[test]
fn flips_after_a_kill() {
    let count = flip_everything(&sample::killed(), Rules::KILLED);
    println!("{count} flips after a kill");
}

#[test]
fn flips_in_a_backup() {
    let count = flip_everything(&sample::backed_up(), Rules::CLOSED);
    println!("{count} flips in a backup");
}

#[test]
fn cuts_after_a_clean_close() {
    let count = cut_everywhere(&sample::closed(), Rules::CLOSED);
    println!("{count} cuts after a clean close");
}

#[test]
fn cuts_after_a_kill() {
    let count = cut_everywhere(&sample::killed(), Rules::KILLED);
    println!("{count} cuts after a kill");
}

#[test]
fn cuts_in_a_backup() {
    let count = cut_everywhere(&sample::backed_up(), Rules::CLOSED);
    println!("{count} cuts in a backup");
}
