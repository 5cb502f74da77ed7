//! A database in a directory of its own, and the real binary to work on it.
#![allow(dead_code, reason = "each test file uses a part of it")]

use serde_json::Value;
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};
use tempfile::TempDir;

/// Small segments: they roll within a test, and many databases take little space.
pub(crate) const SEGMENT_BYTES: &str = "256KiB";
/// The same as a number.
pub(crate) const SEGMENT_BYTES_COUNT: u64 = 256 << 10;

/// A place for one database.
pub(crate) struct Place {
    dir: TempDir,
}

/// How a run of the command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    /// A path beside the database.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The database's directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Writes a file beside the database.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("a file in a temporary directory");
        path
    }

    /// The command on the database, not started.
    pub(crate) fn command(&self) -> Command {
        self.command_on(&self.data())
    }

    /// The command with the arguments, on the database unless it makes one of its own.
    fn command_with(&self, args: &[&str]) -> Command {
        let name = args.iter().find(|arg| !arg.starts_with('-'));
        let mut command = if name.is_some_and(|name| ["tour", "bench"].contains(name)) {
            self.command_alone()
        } else {
            self.command()
        };
        command.args(args);
        command
    }

    /// The command on another database.
    pub(crate) fn command_on(&self, data: &Path) -> Command {
        let mut command = self.command_alone();
        command.arg("--data").arg(data);
        command
    }

    /// The command on no database that is named.
    fn command_alone(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_annals"));
        command.current_dir(self.dir.path()).env("TMPDIR", self.dir.path());
        command.args(["--segment-bytes", SEGMENT_BYTES]);
        command
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.run_with(args, b"")
    }

    /// Runs the command to its end with something on standard input.
    pub(crate) fn run_with(&self, args: &[&str], input: &[u8]) -> Ended {
        let mut command = self.command_with(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // A command that ends without reading all of it is judged by how it ended.
        let _ = stdin.write_all(input);
        drop(stdin);
        child.wait_with_output().expect("the command ends").into()
    }

    /// Runs the command, which must succeed, and returns what it printed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        self.run(args).ok()
    }

    /// Runs the command with `--json`, which must succeed, and returns the objects it printed.
    pub(crate) fn json(&self, args: &[&str]) -> Vec<Value> {
        let mut all = vec!["--json"];
        all.extend(args);
        objects(&self.run(&all).ok())
    }

    /// Starts the command with pipes.
    pub(crate) fn spawn(&self, args: &[&str]) -> Running {
        let mut command = self.command_with(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        Running { child: command.spawn().expect("the command starts") }
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("the command was not killed"),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).expect("messages are text"),
        }
    }
}

impl Ended {
    /// What it printed; it must have succeeded and complained about nothing.
    pub(crate) fn ok(self) -> String {
        assert_eq!((self.code, &*self.stderr), (0, ""), "{self:?}");
        String::from_utf8(self.stdout).expect("text")
    }

    /// It must have failed with `code` and said so in words that hold `said`.
    pub(crate) fn fails(&self, code: i32, said: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stderr.starts_with("annals: "), "{self:?}");
        assert!(self.stderr.contains(said), "`{said}` is not in {self:?}");
    }
}

/// A command under way; killed when it is dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One object a line.
pub(crate) fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect()
}

/// The values of a field, sorted, for listings that come in no particular order.
pub(crate) fn sorted(objects: &[Value], field: &str) -> Vec<String> {
    let mut values: Vec<String> =
        objects.iter().map(|object| object[field].as_str().expect("a string").to_owned()).collect();
    values.sort();
    values
}

/// Feeds a `batch-put - --batch 1 --progress-json` one record and waits until it is acknowledged:
/// from then on the child holds the lock.
pub(crate) fn first_ack(writer: &mut Running, stdin: &mut std::process::ChildStdin) {
    use std::io::{BufRead, BufReader};
    stdin.write_all(b"first,1\n").expect("the child reads");
    let stdout = writer.child.stdout.as_mut().expect("a pipe");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("the child answers");
    assert_eq!(line, "{\"acked\":1}\n");
}

/// Lines of a web server in the combined format, one a second from 2015-05-17T10:00:00Z on: ten clients in turn, 100
/// paths, every seventh request is not found and every fiftieth fails, of 100 bytes and one more for each line.
pub(crate) fn web_log(lines: u64) -> String {
    let line = |n: u64| {
        let (day, hour) = (17 + n / 86_400, 10 + n / 3_600 % 24);
        let status = if n % 50 == 49 {
            503
        } else if n % 7 == 6 {
            404
        } else {
            200
        };
        let bytes = if n % 11 == 10 { "-".to_owned() } else { (100 + n).to_string() };
        let (client, user) = (n % 10, if n.is_multiple_of(3) { "ada" } else { "-" });
        format!(
            "10.0.0.{client} - {user} [{day}/May/2015:{hour:02}:{:02}:{:02} +0000] \"GET /page/{}?x=1 HTTP/1.1\" \
             {status} {bytes} \"-\" \"curl \\\"7\\\"\"\n",
            n / 60 % 60,
            n % 60,
            n % 100,
        )
    };
    (0..lines).map(line).collect()
}

/// The path of a request.
pub(crate) fn first_line(event: &Value) -> String {
    event["path"].as_str().expect("a path").to_owned()
}
