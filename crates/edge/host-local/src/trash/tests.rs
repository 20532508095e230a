use super::*;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);

/// A directory to be thrown away, beside a trash that is not open yet.
fn bench() -> (tempfile::TempDir, PathBuf, PathBuf) {
    // In memory where there is such a place: 50,000 directories take some disks half a minute.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let (run, trash) = (dir.path().join("run"), dir.path().join("trash"));
    std::fs::create_dir(&run).unwrap();
    (dir, run, trash)
}

/// Nests directories, with a file in each, with as few descriptors as the walk has.
fn nest(at: &Path, levels: usize) {
    let mut dir = enter(CWD, at).unwrap();
    for _ in 0..levels {
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(&dir, "f", flags, Mode::from_raw_mode(0o600)).unwrap();
        rustix::fs::mkdirat(&dir, "d", Mode::from_raw_mode(0o700)).unwrap();
        dir = enter(&dir, "d").unwrap();
    }
}

fn wait_until_empty(trash: &Path) {
    let deadline = Instant::now() + PATIENCE;
    while std::fs::read_dir(trash).unwrap().next().is_some() {
        assert!(Instant::now() < deadline, "the trash is never empty");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_tree_deeper_than_any_stack_is_put_aside_at_once_and_gone_in_the_end() {
    let (_dir, run, at) = bench();
    nest(&run, 50_000);
    let trash = Trash::open(at.clone()).unwrap();
    trash.renew(&run, 0o700, Owner::Us).unwrap();
    assert_eq!(std::fs::read_dir(&run).unwrap().count(), 0, "it is fresh although nothing is deleted yet");
    assert_eq!(std::fs::metadata(&at).unwrap().permissions().mode() & 0o7777, 0o700);
    wait_until_empty(&at);
}

#[test]
fn what_links_point_to_survives() {
    let (dir, run, at) = bench();
    let kept = dir.path().join("kept");
    std::fs::create_dir(&kept).unwrap();
    std::fs::write(kept.join("file"), "kept").unwrap();
    std::fs::create_dir(run.join("d")).unwrap();
    symlink(&kept, run.join("link")).unwrap();
    symlink(&kept, run.join("d/link")).unwrap();
    symlink(kept.join("file"), run.join("d/file")).unwrap();
    let trash = Trash::open(at.clone()).unwrap();
    trash.take(&run).unwrap();
    wait_until_empty(&at);
    assert_eq!(std::fs::read_to_string(kept.join("file")).unwrap(), "kept");

    // Not even in place of the directory itself.
    symlink(&kept, at.join("link")).unwrap();
    let top = enter(CWD, &at).unwrap();
    delete(&top, c"link").unwrap_err();
    assert!(kept.join("file").exists());
}

#[test]
fn what_an_earlier_process_left_is_deleted_too() {
    let (_dir, run, at) = bench();
    for (wide, deep) in [("a", 1), ("b", 2), ("c", 30)] {
        std::fs::create_dir(run.join(wide)).unwrap();
        nest(&run.join(wide), deep);
    }
    std::fs::create_dir(&at).unwrap();
    std::fs::rename(&run, at.join("left")).unwrap();
    let trash = Trash::open(at.clone()).unwrap();
    wait_until_empty(&at);
    trash.take(&run).unwrap();
}

#[test]
fn closed_directories_are_deleted_like_others() {
    let (_dir, run, at) = bench();
    std::fs::create_dir_all(run.join("a/b")).unwrap();
    std::fs::write(run.join("a/b/f"), "").unwrap();
    for closed in ["a/b", "a", ""] {
        std::fs::set_permissions(run.join(closed), std::fs::Permissions::from_mode(0o000)).unwrap();
    }
    let trash = Trash::open(at.clone()).unwrap();
    trash.take(&run).unwrap();
    assert!(!run.exists());
    wait_until_empty(&at);
}
