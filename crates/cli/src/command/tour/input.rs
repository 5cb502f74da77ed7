//! The user's data, read once and kept in memory as what the database must give back.
//!
//! Of a directory each file is a record, its path the key; hidden files, links and the directories
//! that build tools fill are left out. Of a file each line is a record, its number the key.

use super::teller::quote;
use crate::{
    failure::{Failure, Result},
    lines::{KeyRule, LineError, Lines, line_number_key},
};
use std::{
    fs,
    io::BufReader,
    path::{Path, PathBuf},
};

/// How the names of directories start that are full of what can be made again.
const LEFT_OUT: [&str; 4] = ["target", "node_modules", "annals-data", "annals-tour"];

/// Pieces that lines are cut into where files have none.
const PIECE_BYTES: usize = 4096;

/// Key and value.
pub(super) type Record = (Vec<u8>, Vec<u8>);

/// What the tour works on.
#[derive(Debug)]
pub(super) struct Input {
    path: PathBuf,
    is_directory: bool,
    records: Vec<Record>,
    bytes: u64,
    left_out_count: u64,
}

impl Input {
    /// Reads `path`, at most `bytes_max` bytes of it.
    pub(super) fn read(path: &Path, bytes_max: u64) -> Result<Self> {
        let failed = |error| Failure::file("read", path, &error);
        if !path.exists() {
            return Err(Failure::usage(format!("there is no file {}", path.display())));
        }
        let is_directory = fs::metadata(path).map_err(failed)?.is_dir();
        let path = path.to_owned();
        let mut input =
            Self { path, is_directory, records: Vec::new(), bytes: 0, left_out_count: 0 };
        if is_directory {
            input.read_directory(bytes_max)?;
        } else {
            input.read_lines(bytes_max)?;
        }
        if input.bytes == 0 {
            let path = input.path.display();
            return Err(Failure::usage(format!(
                "{path} holds nothing to store; name another path"
            )));
        }
        Ok(input)
    }

    fn read_lines(&mut self, bytes_max: u64) -> Result<()> {
        let failed = |error| Failure::file("read", &self.path, &error);
        let file = fs::File::open(&self.path).map_err(failed)?;
        let mut lines = Lines::new(BufReader::new(file), KeyRule::LineNumber);
        loop {
            match lines.next() {
                Ok(Some(line)) if self.bytes + line.value.len() as u64 <= bytes_max => {
                    self.bytes += line.value.len() as u64;
                    self.records.push((line.key.to_vec(), line.value.to_vec()));
                }
                // How many more there are is not worth reading them all.
                Ok(Some(_)) => {
                    self.left_out_count = 1;
                    return Ok(());
                }
                Ok(None) => return Ok(()),
                Err(LineError::Io(error)) => return Err(failed(error)),
                Err(_) => return Err(Failure::usage("a line is too long to be a record")),
            }
        }
    }

    fn read_directory(&mut self, bytes_max: u64) -> Result<()> {
        let mut waiting = vec![PathBuf::new()];
        while let Some(inside) = waiting.pop() {
            let dir = self.path.join(&inside);
            let failed = |error| Failure::file("list", &dir, &error);
            let mut entries = fs::read_dir(&dir)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(failed)?;
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                let name = entry.file_name();
                let text = name.to_string_lossy();
                let kind = entry.file_type().map_err(failed)?;
                let inside = inside.join(&name);
                let made = kind.is_dir() && LEFT_OUT.iter().any(|name| text.starts_with(name));
                if text.starts_with('.') || made || kind.is_symlink() {
                    continue;
                }
                if kind.is_dir() {
                    waiting.push(inside);
                } else if kind.is_file() {
                    self.read_file(&inside, bytes_max);
                }
            }
        }
        Ok(())
    }

    /// Takes a file in, unless it is too much or may not be read.
    fn read_file(&mut self, inside: &Path, bytes_max: u64) {
        let path = self.path.join(inside);
        let fits = |bytes: u64| self.bytes + bytes <= bytes_max;
        let content = match fs::metadata(&path) {
            Ok(meta) if fits(meta.len()) => fs::read(&path).ok(),
            _ => None,
        };
        match content {
            Some(content) if fits(content.len() as u64) => {
                self.bytes += content.len() as u64;
                self.records.push((inside.as_os_str().as_encoded_bytes().to_vec(), content));
            }
            _ => self.left_out_count += 1,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_directory(&self) -> bool {
        self.is_directory
    }

    pub(super) fn record_is(&self) -> &'static str {
        if self.is_directory { "file is a record" } else { "line is a record" }
    }

    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    /// Bytes of all values.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Files (or 1 for the rest of a file) that were too much or could not be read.
    pub(super) fn left_out_count(&self) -> u64 {
        self.left_out_count
    }

    /// The data as lines without end, again and again: what a writing child is fed.
    pub(super) fn endless_lines(&self) -> impl Iterator<Item = &[u8]> {
        self.lines().cycle()
    }

    /// Records whose keys are line numbers, for as many lines as are wanted.
    pub(super) fn endless_records(&self) -> impl Iterator<Item = (Vec<u8>, &[u8])> {
        (1..).zip(self.endless_lines()).map(|(number, line)| (line_number_key(number), line))
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let values = self.records.iter().map(|(_, value)| &value[..]);
        // An end that every file has is not a line; a file of one byte, a line end, still needs one.
        values
            .flat_map(|value| value.split(|byte| *byte == b'\n'))
            .flat_map(|line| line.chunks(PIECE_BYTES))
            .chain(std::iter::once(&b"end"[..]))
    }

    /// A shell command that stores it; `makes` are the options that name the keyspace.
    pub(super) fn store_command(&self, annals: impl Fn(&str) -> String, makes: &str) -> String {
        if self.is_directory {
            let put = annals(&format!("put {makes} -- \"$f\" - < \"$f\""));
            format!("{} | while IFS= read -r f; do {put} || exit; done", self.find_command())
        } else {
            let path = quote(&self.path);
            annals(&format!("batch-put {path} --key-from-line-number {makes}"))
        }
    }

    /// A shell command that compares what is stored with the original.
    pub(super) fn compare_command(
        &self,
        annals: impl Fn(&str) -> String,
        keyspace: &str,
    ) -> String {
        if self.is_directory {
            let get = annals(&format!("get -k {keyspace} -- \"$f\""));
            let compare = format!("{get} | cmp - \"$f\" || exit");
            format!("{} | while IFS= read -r f; do {compare}; done", self.find_command())
        } else {
            let scan = annals(&format!("scan -k {keyspace}"));
            format!("{scan} | LC_ALL=C sort | cut -f2- | cmp - {}", quote(&self.path))
        }
    }

    /// A shell command that writes its lines without end.
    pub(super) fn endless_command(&self) -> String {
        if self.is_directory {
            format!("while {} | xargs -d '\\n' cat; do :; done", self.find_command())
        } else {
            format!("while cat {}; do :; done", quote(&self.path))
        }
    }

    /// A shell command that writes a JSON object about each record.
    pub(super) fn about_command(&self) -> String {
        if self.is_directory {
            let about = r#"{"time":%T@,"path":"%P","bytes":%s}\n"#;
            return self
                .find_command()
                .replace("-type f -print", &format!("-type f -printf '{about}'"));
        }
        let about = r#"{"line":%d,"bytes":%d,"words":%d}\n"#.replace('"', "\\\"");
        format!("LC_ALL=C awk '{{ printf \"{about}\", NR, length($0), NF }}' {}", quote(&self.path))
    }

    /// A shell command that lists the files.
    fn find_command(&self) -> String {
        let left_out: Vec<String> =
            LEFT_OUT.iter().map(|name| format!("-name '{name}*'")).collect();
        format!(
            "find {} -mindepth 1 \\( -name '.*' -o -type d \\( {} \\) \\) -prune -o -type f -print",
            quote(&self.path),
            left_out.join(" -o ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_gives_its_files_and_leaves_out_what_is_hidden() {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in
            [("b/two", "2\n2\n"), ("one", "1"), (".hidden", "x"), ("target/made", "x"), ("nil", "")]
        {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        std::os::unix::fs::symlink("one", dir.path().join("link")).unwrap();
        let input = Input::read(dir.path(), 100).unwrap();
        let keys: Vec<&[u8]> = input.records().iter().map(|(key, _)| &key[..]).collect();
        assert_eq!(keys, [&b"nil"[..], b"one", b"b/two"]);
        assert_eq!(input.bytes(), 5);
        let lines: Vec<&[u8]> = input.endless_lines().take(6).collect();
        assert_eq!(lines, [&b"1"[..], b"2", b"2", b"end", b"1", b"2"]);

        let input = Input::read(dir.path(), 4).unwrap();
        assert_eq!((input.records().len(), input.left_out_count()), (2, 1));
    }

    #[test]
    fn a_file_gives_its_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "a\n\nb").unwrap();
        let input = Input::read(&path, 100).unwrap();
        let first = (line_number_key(1), b"a".to_vec());
        assert_eq!(input.records()[0], first);
        assert_eq!((input.records().len(), input.bytes()), (3, 2));
        fs::write(&path, "").unwrap();
        assert_eq!(Input::read(&path, 100).unwrap_err().code(), 2);
        assert_eq!(Input::read(&dir.path().join("none"), 100).unwrap_err().code(), 2);
    }
}
