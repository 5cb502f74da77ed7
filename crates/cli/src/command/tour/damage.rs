//! Verifying the database, then a copy in which one byte was changed: the damage must be found,
//! and in the right place.

use super::{Stage, backup, broken};
use crate::{
    clock::Stopwatch,
    failure::{Failure, Result},
    lines::find,
    output::Report,
    units,
};
use std::{
    fs::{self, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// As much of a value as is looked for in the files.
const NEEDLE_BYTES_MAX: usize = 512;

/// Reads every byte of the tour's database.
pub(super) fn verify(stage: &mut Stage<'_>) -> Result<()> {
    let db = stage.open_to_look(&stage.settings.data)?;
    let clock = Stopwatch::start();
    let found = db.verify(&mut |_| {})?;
    let seconds = clock.seconds();
    if let Some(damage) = found.damages.first() {
        let path = damage.path.display();
        let what = format!("{path} is damaged at byte {}: {}", damage.offset, damage.what);
        return Err(broken("verify", what));
    }
    let mut report = Report::default();
    report
        .bytes("bytes", found.bytes)
        .count("segments_count", found.segments_count)
        .count("frames_count", found.frames_count)
        .count("records_count", found.records_count)
        .count("damages_count", 0)
        .seconds("seconds", seconds)
        .bytes("bytes_per_second", units::rate(found.bytes, seconds) as u64);
    let command = stage.teller.annals("verify");
    stage.teller.step("verify", &report, &[command])
}

/// Changes one byte in a copy and lets the database find it.
pub(super) fn flip_and_find(stage: &mut Stage<'_>) -> Result<()> {
    let step = "flip a byte, find it";
    let copy = stage.scratch.join("damaged");
    copy_directory(&backup::dir(stage), &copy)?;
    let (path, offset) =
        place(stage, &copy)?.ok_or_else(|| broken(step, "no value in any file"))?;
    flip(&path, offset).map_err(|error| Failure::file("change", &path, &error))?;

    let found = stage.open_to_look(&copy)?.verify(&mut |_| {})?;
    let damage = found.damages.first().ok_or_else(|| broken(step, "verify found no damage"))?;
    if damage.path != path || damage.offset > offset {
        let (named, path) = (damage.path.display(), path.display());
        let at = damage.offset;
        let what = format!("{path} byte {offset} was changed, {named} byte {at} named");
        return Err(broken(step, what));
    }
    let mut report = Report::default();
    report
        .text_field("file", path.strip_prefix(&copy).unwrap_or(&path).display().to_string())
        .count("changed_offset", offset)
        .count("named_offset", damage.offset)
        .text_field("named", &*damage.what)
        .count("damages_count", found.damages.len() as u64);
    let commands = [
        "cp -r ./annals-tour-backup ./annals-tour-damaged".to_owned(),
        // Where what lies depends on how the background work went: no place is named.
        "f=$(ls -S ./annals-tour-damaged/*.tbl ./annals-tour-damaged/*.seg | head -1)".to_owned(),
        "printf '\\377' | dd of=$f bs=1 seek=$(($(wc -c < $f) / 3)) conv=notrunc".to_owned(),
        "annals --data ./annals-tour-damaged verify; echo exit code $?".to_owned(),
    ];
    stage.teller.step(step, &report, &commands)
}

/// Where a value of the input lies in the copy: a byte in its middle.
fn place(stage: &Stage<'_>, copy: &Path) -> Result<Option<(PathBuf, u64)>> {
    let longest = stage.input.records().iter().map(|(_, value)| value).max_by_key(|v| v.len());
    let Some(value) = longest else { return Ok(None) };
    let needle = &value[..value.len().min(NEEDLE_BYTES_MAX)];
    for path in files(copy)? {
        let content = fs::read(&path).map_err(|error| Failure::file("read", &path, &error))?;
        if let Some(at) = find(&content, needle) {
            return Ok(Some((path, (at + needle.len() / 2) as u64)));
        }
    }
    Ok(None)
}

fn flip(path: &Path, offset: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)?;
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(&[byte[0] ^ 0x10])
}

/// All files below `dir`, in order.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| Failure::file("list", dir, &error);
    let entries = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut files = Vec::new();
    for entry in entries.map_err(failed)? {
        if entry.file_type().map_err(failed)?.is_dir() {
            files.extend(self::files(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn copy_directory(from: &Path, to: &Path) -> Result<()> {
    for file in files(from)? {
        let target = to.join(file.strip_prefix(from).unwrap_or(&file));
        let parent = target.parent().unwrap_or(to);
        fs::create_dir_all(parent)
            .and_then(|()| fs::copy(&file, &target))
            .map_err(|error| Failure::file("copy", &file, &error))?;
    }
    Ok(())
}
