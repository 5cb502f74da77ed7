//! What only the real disk can show: a process that is killed, and a file system that refuses.
//!
//! A test that needs a process of its own starts this binary again, with [`ROLE`] telling what it
//! is to do and [`DIR`] where.

use annals_disk::{Access, Disk, LockMode, RealDisk, Region, WriteMode};
use std::{
    env,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const ROLE: &str = "ANNALS_DISK_ROLE";
const DIR: &str = "ANNALS_DISK_DIR";
const MODES: [WriteMode; 3] = [WriteMode::Auto, WriteMode::Mapped, WriteMode::Positioned];

/// What a started process is to do, if this is one and it is meant.
fn role(name: &str) -> Option<PathBuf> {
    (env::var(ROLE).ok()? == name).then(|| env::var_os(DIR).expect("a directory").into())
}

fn seg(dir: &Path, mode: WriteMode) -> PathBuf {
    dir.join(format!("{mode:?}.seg"))
}

/// Writes, appends and locks without any sync, then waits for its end.
#[test]
fn child_that_is_killed() {
    let Some(dir) = role("killed") else { return };
    let _lock = RealDisk::new()
        .try_lock(&dir.join("LOCK"), LockMode::Exclusive)
        .expect("lock")
        .expect("free");
    let _regions = MODES.map(|mode| {
        let disk = RealDisk::with_write_mode(mode);
        let region = disk.create_region(&seg(&dir, mode), 1 << 16).expect("create");
        region.write(5000, b"written and not synced").expect("write");
        region
    });
    let mut file = RealDisk::new().create(&dir.join("file")).expect("create");
    file.append(b"appended and not synced").expect("append");
    println!("\nready");
    std::thread::park();
}

/// Two names of one place resolve to one path, whether or not the place is there.
#[test]
fn paths_resolve_to_where_they_lead() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().canonicalize().expect("it is there");
    let disk = RealDisk::new();
    std::fs::create_dir_all(root.join("a/b")).expect("directories");
    std::fs::write(root.join("file"), "text").expect("a file");
    std::os::unix::fs::symlink("a/b", root.join("link")).expect("a link");
    for (path, leads) in [
        ("a/b", "a/b"),
        ("a/./b/", "a/b"),
        ("link", "a/b"),
        ("link/none/yet", "a/b/none/yet"),
        ("link/..", "a"),
        ("link/../none", "a/none"),
        ("none/../a", "a"),
        ("file/below", "file/below"),
        ("none", "none"),
    ] {
        assert_eq!(disk.resolve(&root.join(path)).expect("resolved"), root.join(leads), "{path}");
    }
    let here = env::current_dir().expect("a directory").canonicalize().expect("it is there");
    assert_eq!(disk.resolve(Path::new("none")).expect("resolved"), here.join("none"));
}

#[test]
fn a_killed_process_loses_nothing_but_its_lock() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut child = Command::new(env::current_exe().expect("this test"))
        .args(["--exact", "child_that_is_killed", "--nocapture"])
        .env(ROLE, "killed")
        .env(DIR, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    assert!(
        output.lines().any(|line| line.is_ok_and(|line| line == "ready")),
        "the child failed before it was ready"
    );
    let (disk, lock) = (RealDisk::new(), dir.path().join("LOCK"));
    let holder = disk.lock_holder(&lock).expect("look").expect("held by the child");
    assert_eq!(holder.pid, child.id());
    assert!(disk.try_lock(&lock, LockMode::Exclusive).expect("lock").is_none());
    assert!(disk.try_lock(&lock, LockMode::Shared).expect("lock").is_none());

    child.kill().expect("kill");
    child.wait().expect("wait");
    assert!(disk.len(&lock).expect("len") > Some(0), "the dead clean nothing up");
    assert_eq!(disk.lock_holder(&lock).expect("look"), None);
    assert!(disk.try_lock(&lock, LockMode::Exclusive).expect("lock").is_some());
    for mode in MODES {
        let region = disk.open_region(&seg(dir.path(), mode), Access::Read).expect("open");
        assert_eq!(region.read(5000, 22), b"written and not synced", "{mode:?}");
        assert_eq!(region.len(), 1 << 16);
    }
    assert_eq!(disk.read(&dir.path().join("file"), 100).expect("read"), b"appended and not synced");
}

/// Runs under a limit on the length of files, which refuses space as a full disk does.
#[test]
fn child_that_is_limited() {
    let Some(dir) = role("limited") else { return };
    for mode in MODES {
        let disk = RealDisk::with_write_mode(mode);
        let path = seg(&dir, mode);
        let error = disk.create_region(&path, 1 << 20).expect_err("beyond the limit");
        assert!(error.is_full(), "{mode:?}: {error}");
        assert_eq!(disk.len(&path).expect("len"), None, "{mode:?}: a partial file was left");

        let region = disk.create_region(&path, 8192).expect("within the limit");
        region.write(0, b"kept").expect("write");
        let error = disk.open_region(&path, Access::Write { len: 1 << 20 });
        assert!(error.expect_err("beyond the limit").is_full(), "{mode:?}");
        assert_eq!(disk.len(&path).expect("len"), Some(8192), "{mode:?}");
        assert_eq!(region.read(0, 4), b"kept");
    }
    let mut file = RealDisk::new().create(&dir.join("file")).expect("create");
    assert!(file.append(&vec![0; 1 << 20]).expect_err("beyond the limit").is_full());
    println!("\nlimits held");
}

#[test]
fn a_file_system_that_refuses_space_is_an_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = Command::new("sh")
        // The signal that comes with the limit would end the process before the error is seen.
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""])
        .arg(env::current_exe().expect("this test"))
        .args(["--exact", "child_that_is_limited", "--nocapture"])
        .env(ROLE, "limited")
        .env(DIR, dir.path())
        .output()
        .expect("start");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("limits held"),
        "{told}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn paths_without_a_directory_are_in_the_working_directory() {
    // The parent of a bare name is the empty path.
    RealDisk::new().sync_dir(Path::new("")).expect("sync");
    assert!(!RealDisk::new().list(Path::new("")).expect("list").is_empty());
    RealDisk::new().create_dir_all(Path::new("")).expect("there already");
    RealDisk::new().create_dir_all(Path::new("src")).expect("there already");
}

#[test]
fn a_reader_may_share_a_lock_it_cannot_write() {
    use std::{fs, os::unix::fs::PermissionsExt};
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("LOCK");
    fs::write(&path, b"").expect("write");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).expect("chmod");
    let shared = RealDisk::new().try_lock(&path, LockMode::Shared).expect("lock");
    assert!(shared.is_some());
}

#[test]
fn locks_are_taken_while_others_look_who_holds_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("LOCK");
    drop(RealDisk::new().try_lock(&path, LockMode::Exclusive).expect("lock"));
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                RealDisk::new().lock_holder(&path).expect("look");
            }
        });
        let taken_count = (0..200)
            .filter(|_| {
                RealDisk::new().try_lock(&path, LockMode::Exclusive).expect("lock").is_some()
            })
            .count();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        // A looker that a busy machine puts aside for long may still win now and then.
        assert!(taken_count > 190, "a look was taken for a holder: {taken_count}");
    });
}

#[test]
fn links_are_followed_and_dangling_ones_are_listed() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = RealDisk::new();
    disk.create(&dir.path().join("file")).expect("create").append(b"four").expect("append");
    std::os::unix::fs::symlink("file", dir.path().join("link")).expect("link");
    std::os::unix::fs::symlink("nowhere", dir.path().join("dangling")).expect("link");
    let listed = disk.list(dir.path()).expect("list");
    let names: Vec<_> = listed.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["dangling", "file", "link"]);
    assert_eq!(listed[2].len, 4);
}

#[test]
fn a_map_shows_what_a_positioned_write_wrote_and_the_reverse() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("seg");
    let mapped = RealDisk::with_write_mode(WriteMode::Mapped);
    let positioned = RealDisk::with_write_mode(WriteMode::Positioned);
    let one = mapped.create_region(&path, 8192).expect("create");
    let two = positioned.open_region(&path, Access::Write { len: 0 }).expect("open");
    one.write(0, b"stored").expect("write");
    two.write(4090, b"called").expect("write");
    let seen = |region: &Region| [region.read(0, 6).to_vec(), region.read(4090, 6).to_vec()];
    assert_eq!(seen(&one), [b"stored", b"called"]);
    assert_eq!(seen(&two), [b"stored", b"called"]);
    one.sync().expect("sync");
    two.sync().expect("sync");
}

#[test]
fn a_directory_is_locked_once_whatever_is_removed_in_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let (disk, file) = (RealDisk::new(), dir.path().join("lock"));
    let first = disk.try_lock_dir(dir.path()).expect("a lock").expect("free");
    let _file = disk.try_lock(&file, LockMode::Exclusive).expect("a lock").expect("free");
    disk.remove(&file).expect("removed");
    assert!(disk.try_lock(&file, LockMode::Exclusive).expect("a lock").is_some(), "a new file");
    assert!(disk.try_lock_dir(dir.path()).expect("an answer").is_none());
    drop(first);
    assert!(disk.try_lock_dir(dir.path()).expect("a lock").is_some());
}
