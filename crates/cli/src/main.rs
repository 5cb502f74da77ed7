//! The `annals` command: look at, fill, check, back up and measure an Annals database.
//!
//! What is typed ([`args`], the low form) is turned once into what is done ([`command`], the high
//! form), which works on a [`session`] and speaks through [`output`]. Everything goes through the
//! public interface of the `annals` crate.

// They panic where nobody reads: what is said goes through `output`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod category;
mod chart;
mod clock;
mod command;
mod expression;
mod failure;
mod follow;
mod histogram;
mod ingest;
mod input;
mod keyspace;
mod lines;
mod moment;
mod output;
mod plan;
mod random;
mod scratch;
mod session;
mod units;
mod wanted;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args = match args::parse() {
        Ok(args) => args,
        Err(code) => return code,
    };
    let json = args.global.json;
    match plan::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}
