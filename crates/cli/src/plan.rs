//! From what was typed to what is done: checks and conversions happen here, once.

use crate::{
    args::{CommandArgs, CommandLine, DurabilityArg, KeyspaceCommand, KindArg},
    command::{self, Command},
    failure::{Failure, Result},
    lines::KeyRule,
    output::Form,
    session::{Session, Settings},
};
use annals::{Durability, KeyspaceOptions, Seq};
use std::{ffi::OsString, path::PathBuf};

/// Does what the command line asks for.
pub(crate) fn run(line: CommandLine) -> Result<()> {
    let form = Form::detect(line.global.json);
    let settings = settings(&line);
    let command = command(line.command)?;
    let mut session = Session::new(settings, form);
    let done = command.run(&mut session);
    // What was said before a failure belongs to the user too.
    let flushed = session.out.flush();
    done.and(flushed)
}

fn settings(line: &CommandLine) -> Settings {
    let writing = line.writing();
    Settings {
        data: line.global.data.clone(),
        durability: match writing.durability {
            Some(DurabilityArg::Buffered) => Durability::Buffered,
            Some(DurabilityArg::Interval) | None => Durability::default(),
            Some(DurabilityArg::Sync) => Durability::Sync,
        },
        segment_bytes: writing.segment_bytes,
    }
}

fn command(args: CommandArgs) -> Result<Box<dyn Command>> {
    Ok(match args {
        CommandArgs::Put(put) => Box::new(command::Put {
            keyspace: put.keyspace.keyspace,
            key: bytes(put.key),
            value: match put.value.as_os_str() {
                dash if dash == "-" => command::Value::StandardInput,
                _ => command::Value::Given(bytes(put.value)),
            },
            ttl: put.ttl,
        }),
        CommandArgs::Get(get) => {
            Box::new(command::Get { keyspace: get.keyspace.keyspace, key: bytes(get.key) })
        }
        CommandArgs::Delete(delete) => {
            let key = delete.key;
            Box::new(command::Delete { keyspace: key.keyspace.keyspace, key: bytes(key.key) })
        }
        CommandArgs::Keys(keys) => Box::new(command::Scan {
            keyspace: keys.keyspace.keyspace,
            prefix: keys.prefix.map(bytes).unwrap_or_default(),
            limit: keys.limit,
            with_values: false,
        }),
        CommandArgs::Scan(scan) => Box::new(command::Scan {
            keyspace: scan.keyspace.keyspace,
            prefix: scan.prefix.map(bytes).unwrap_or_default(),
            limit: scan.limit,
            with_values: true,
        }),
        CommandArgs::BatchPut(put) => Box::new(command::BatchPut {
            keyspace: put.keyspace.keyspace,
            input: input(put.file),
            rule: if put.key_from_line_number {
                KeyRule::LineNumber
            } else {
                KeyRule::Separator(separator(&put.separator)?)
            },
            batch: put.batch.get(),
            progress_json: put.progress_json,
        }),
        CommandArgs::Keyspace(keyspace) => match keyspace {
            KeyspaceCommand::List => Box::new(command::KeyspaceList),
            KeyspaceCommand::Create { name, kind: KindArg::Hash, ttl, .. } => {
                let mut options = KeyspaceOptions::default();
                if let Some(ttl) = ttl {
                    options = options.ttl(ttl);
                }
                Box::new(command::KeyspaceCreate { name, options })
            }
            KeyspaceCommand::Drop { name, .. } => Box::new(command::KeyspaceDrop { name }),
            KeyspaceCommand::Stats { name } => Box::new(command::KeyspaceStats { name }),
        },
        CommandArgs::Stats => Box::new(command::Stats),
        CommandArgs::Verify => Box::new(command::Verify),
        CommandArgs::Checkpoint => Box::new(command::Checkpoint),
        CommandArgs::Compact(_) => Box::new(command::Compact),
        CommandArgs::Backup(backup) => Box::new(command::Backup { dir: backup.dir }),
        CommandArgs::Restore(restore) => Box::new(command::Restore { dir: restore.dir }),
        CommandArgs::Unlock => Box::new(command::Unlock),
        CommandArgs::Changes(changes) => Box::new(command::Changes {
            from: changes.from.map(Seq),
            follow: changes.follow,
            limit: changes.limit,
        }),
        CommandArgs::Tour(tour) => {
            Box::new(command::Tour { path: tour.path, keep: tour.keep, max_bytes: tour.max_bytes })
        }
        CommandArgs::Bench(bench) => Box::new(command::Bench {
            ops: bench.ops.get(),
            value_bytes: usize::try_from(bench.value_size)
                .map_err(|_| Failure::usage("--value-size is too large for this machine"))?,
            threads: bench.threads.get(),
            time_limit: bench.time_limit,
        }),
    })
}

fn bytes(text: OsString) -> Vec<u8> {
    text.into_encoded_bytes()
}

fn input(file: PathBuf) -> command::Input {
    if file.as_os_str() == "-" { command::Input::Standard } else { command::Input::File(file) }
}

/// A separator as typed: `\t` is a tab, `\\` a backslash.
fn separator(text: &str) -> Result<Vec<u8>> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match (char, char == '\\') {
            (_, true) => match chars.next() {
                Some('t') => out.push('\t'),
                Some('\\') | None => out.push('\\'),
                Some(other) => out.extend(['\\', other]),
            },
            (char, false) => out.push(char),
        }
    }
    if out.is_empty() {
        return Err(Failure::usage("--separator is empty; name what stands between key and value"));
    }
    if out.contains('\n') {
        return Err(Failure::usage("--separator holds a line end, which no line does"));
    }
    Ok(out.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_read_as_typed() {
        assert_eq!(separator(",").unwrap(), b",");
        assert_eq!(separator("\\t").unwrap(), b"\t");
        assert_eq!(separator("a\\\\b\\x\\").unwrap(), b"a\\b\\x\\");
        assert_eq!(separator("").unwrap_err().code(), 2);
        assert_eq!(separator("\n").unwrap_err().code(), 2);
    }
}
