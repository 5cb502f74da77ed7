//! The machine a run was made on, without its names and paths.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::Result;

/// What a reader of figures needs to know of the machine.
#[derive(Debug)]
pub(crate) struct Machine {
    /// The processor.
    pub(crate) cpu: String,
    /// Its cores, as far as this process may use them.
    pub(crate) cores: usize,
    /// Main memory.
    pub(crate) memory_bytes: u64,
    /// The kernel.
    pub(crate) kernel: String,
    /// The file system that was written to.
    pub(crate) file_system: &'static str,
    /// Whether that file system is on a disk.
    pub(crate) durable: bool,
    /// The day, `YYYY-MM-DD`.
    pub(crate) date: String,
    /// The commit that was measured.
    pub(crate) commit: String,
    /// Whether the working tree differed from it.
    pub(crate) modified: bool,
}

impl Machine {
    /// Looks at this machine and the file system of `dir`.
    pub(crate) fn look(dir: &Path) -> Result<Self> {
        let (file_system, durable) = file_system(rustix::fs::statfs(dir)?.f_type as u64);
        Ok(Self {
            cpu: line_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism()?.get(),
            memory_bytes: line_of("/proc/meminfo", "MemTotal")
                .and_then(|line| line.split(' ').next()?.parse::<u64>().ok())
                .unwrap_or(0)
                * 1024,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            file_system,
            durable,
            date: date(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 86_400),
            commit: git(&["rev-parse", "--short", "HEAD"])
                .unwrap_or_else(|| "unversioned".to_owned()),
            modified: git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty()),
        })
    }
}

fn line_of(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn git(args: &[&str]) -> Option<String> {
    let output =
        Command::new("git").args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The file system behind the number `statfs` gives, and whether it is on a disk.
fn file_system(magic: u64) -> (&'static str, bool) {
    match magic {
        0xef53 => ("ext4", true),
        0x5846_5342 => ("xfs", true),
        0x9123_683e => ("btrfs", true),
        0xf2f5_2010 => ("f2fs", true),
        0x2fc1_2fc1 => ("zfs", true),
        0x794c_7630 => ("overlayfs", true),
        0x0102_1994 => ("tmpfs", false),
        _ => ("an unknown file system", true),
    }
}

/// The day `days` after 1970-01-01.
fn date(days: u64) -> String {
    // Years are counted from March, so that a leap day comes last: 400 of them have 146,097 days.
    let days = days + 719_468;
    let era_day = days % 146_097;
    let era_year = (era_day - era_day / 1_460 + era_day / 36_524 - era_day / 146_096) / 365;
    let year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
    let from_march = (5 * year_day + 2) / 153;
    let day = year_day - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = days / 146_097 * 400 + era_year + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn days_are_named() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(19_722), "2023-12-31");
        assert_eq!(date(19_723), "2024-01-01");
    }
}
