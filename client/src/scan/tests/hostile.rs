//! Repositories that are broken, odd, or out to do harm.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

#[test]
fn nothing_is_executed() {
    let fixture = Fixture::committed(&[("a.txt", "1\n"), (".gitattributes", "*.txt filter=evil diff=evil\n")]);
    let mark = fixture.root.parent().unwrap().join("executed");
    let script = fixture.root.parent().unwrap().join("evil.sh");
    fs::write(&script, format!("#!/bin/sh\ntouch {}\ncat\n", mark.display())).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let evil = script.to_str().unwrap();
    for key in [
        "core.fsmonitor",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "diff.evil.command",
        "diff.evil.textconv",
        "core.sshCommand",
        "core.pager",
        "core.editor",
        "credential.helper",
        "core.gitProxy",
    ] {
        fixture.git(&["config", key, evil]);
    }
    for hook in ["post-index-change", "fsmonitor-watchman", "reference-transaction"] {
        fs::create_dir_all(fixture.root.join(".git/hooks")).unwrap();
        fs::copy(&script, fixture.root.join(".git/hooks").join(hook)).unwrap();
    }
    fs::remove_file(&mark).ok();
    fs::write(fixture.root.join("a.txt"), "2\n").unwrap();
    let base = ScanOptions::default();
    for options in [
        base.clone(),
        ScanOptions { changed_since: Some("HEAD".into()), ..base.clone() },
        ScanOptions { reference: Some("HEAD".into()), submodules: true, ..base.clone() },
        ScanOptions { submodules: true, worktrees: true, ..base },
    ] {
        fixture.scan_with(&options);
    }
    assert!(!mark.exists());
}

#[test]
fn a_work_tree_elsewhere_is_refused() {
    let fixture = Fixture::committed(&[("a", "")]);
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("secret"), "").unwrap();
    fixture.git(&["config", "core.worktree", elsewhere.path().to_str().unwrap()]);
    assert!(matches!(fixture.fails(&ScanOptions::default()), ScanError::Worktree { .. }));
    // A work tree above the root is one, but nothing above the root is read.
    fixture.git(&["config", "core.worktree", "/"]);
    assert!(included(&fixture.scan()).iter().all(|path| ["a"].contains(path)));
}

#[test]
fn submodules_cannot_lead_outside() {
    let secret = Fixture::committed(&[("secret", "")]);
    let inner = Fixture::committed(&[("in", "")]);
    let fixture = Fixture::committed(&[("a", "")]);
    fixture.git(&["submodule", "--quiet", "add", inner.root.to_str().unwrap(), "sub"]);
    fixture.commit();
    let options = ScanOptions { submodules: true, ..Default::default() };
    fixture.git(&["-C", "sub", "config", "core.worktree", secret.root.to_str().unwrap()]);
    assert!(matches!(fixture.fails(&options), ScanError::Worktree { .. }));
    fs::remove_dir_all(fixture.root.join("sub")).unwrap();
    symlink(&secret.root, fixture.root.join("sub")).unwrap();
    let scan = fixture.scan_with(&options);
    assert_eq!(rule(&scan, "sub"), "symlink");
    assert!(!paths(&scan).iter().any(|path| path.contains("secret")));
}

#[test]
fn links_in_place_of_tracked_directories_are_not_followed() {
    let fixture = Fixture::committed(&[("d/passwd", "inside")]);
    fs::remove_dir_all(fixture.root.join("d")).unwrap();
    symlink("/etc", fixture.root.join("d")).unwrap();
    assert_eq!(paths(&fixture.scan()), BTreeSet::from(["d".to_owned()]));
    let lode_toml = fixture.root.join("lode.toml");
    symlink("/etc/passwd", &lode_toml).unwrap();
    assert!(matches!(fixture.fails(&ScanOptions::default()), ScanError::Config { .. }));
}

#[test]
fn content_comes_from_inside_alone() {
    let fixture = Fixture::plain();
    fixture.write(&[("d/a", "inside"), ("gone", "x"), ("grown", "x")]);
    let scan = fixture.scan();
    fs::rename(fixture.root.join("d"), fixture.root.join("moved")).unwrap();
    symlink("/etc", fixture.root.join("d")).unwrap();
    fs::remove_file(fixture.root.join("gone")).unwrap();
    fs::write(fixture.root.join("grown"), "x".repeat(50)).unwrap();
    let mut reader = ContentReader::new(&scan, 10).unwrap();
    assert!(reader.read(file(&scan, "d/a")).is_err());
    assert_eq!(reader.read(file(&scan, "gone")).unwrap_err().code(), "vanished");
    assert_eq!(reader.read(file(&scan, "grown")).unwrap_err().code(), "file_bytes");
}

#[test]
fn names_that_are_not_utf8() {
    let fixture = Fixture::git_init();
    let name = |bytes: &[u8]| fixture.root.join(OsStr::from_bytes(bytes));
    fs::write(name(b"a\xff.py"), "1").unwrap();
    fs::create_dir(name(b"d\xfe")).unwrap();
    fs::write(name(b"d\xfe/x"), "2").unwrap();
    fixture.git(&["add", "."]);
    let scan = fixture.scan();
    assert_eq!(included(&scan), ["a\\xff.py", "d\\xfe/x"]);
    let scanned = file(&scan, "a\\xff.py");
    assert_eq!(scanned.meta.path_bytes.as_deref(), Some(&b"a\xff.py"[..]));
    assert_eq!(scanned.meta.file_id, file_id(&scan.repo, b"a\xff.py"));
    assert_eq!(scanned.meta.tracked, Some(true));
    assert_eq!(ContentReader::new(&scan, 9).unwrap().read(file(&scan, "d\\xfe/x")).unwrap(), b"2");
    // The same text for two paths.
    fs::write(name(b"a\\xff.py"), "").unwrap();
    assert!(matches!(fixture.fails(&ScanOptions::default()), ScanError::Collision { .. }));
}

#[test]
fn repositories_without_files_or_commits() {
    let fixture = Fixture::git_init();
    let scan = fixture.scan();
    assert_eq!((scan.files.len(), scan.git_commit.as_ref(), scan.complete), (0, None, true));
    fixture.write(&[("a", "")]);
    assert_eq!(included(&fixture.scan()), ["a"]);
    let options = ScanOptions { reference: Some("HEAD".into()), ..Default::default() };
    assert!(matches!(fixture.fails(&options), ScanError::Ref { .. }));
    assert_eq!(Fixture::plain().scan().files.len(), 0);
}

#[test]
fn bare_and_shallow_repositories() {
    let origin = Fixture::committed(&[("a", "1"), ("b", "1")]);
    origin.write(&[("a", "2")]);
    origin.commit();
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}", origin.root.display());
    git_in(dir.path(), &["clone", "-q", "--bare", &url, "bare.git"]);
    git_in(dir.path(), &["clone", "-q", "--depth", "1", &url, "shallow"]);
    let bare = scan(&dir.path().join("bare.git"), &ScanOptions::default()).unwrap();
    assert_eq!(included(&bare), ["a", "b"]);
    assert!(bare.warnings[0].contains("bare"));
    assert_eq!(ContentReader::new(&bare, 10).unwrap().read(file(&bare, "a")).unwrap(), b"2");
    let shallow = dir.path().join("shallow");
    assert_eq!(included(&scan(&shallow, &ScanOptions::default()).unwrap()), ["a", "b"]);
    let before = ScanOptions { changed_since: Some("HEAD~1".into()), ..Default::default() };
    assert!(matches!(scan(&shallow, &before), Err(ScanError::Ref { .. })));
}

#[test]
fn broken_repositories_are_told_of() {
    let broken = |damage: &dyn Fn(&Path)| {
        let fixture = Fixture::committed(&[("a", ""), ("b/c", "")]);
        damage(&fixture.root);
        fixture
    };
    let index = fs::read(Fixture::committed(&[("a", ""), ("b/c", "")]).root.join(".git/index")).unwrap();
    let mut flipped = index.clone();
    flipped[40] ^= 0xff;
    for damaged in [&b"garbage"[..], &index[..index.len() / 2], &flipped, b"DIRC"] {
        let fixture = broken(&|root| fs::write(root.join(".git/index"), damaged).unwrap());
        assert!(matches!(fixture.fails(&ScanOptions::default()), ScanError::Git { what: "the index", .. }));
    }
    let fixture = broken(&|root| fs::write(root.join(".git/config"), "[core\n").unwrap());
    assert!(matches!(fixture.fails(&ScanOptions::default()), ScanError::Git { .. }));
    let fixture = broken(&|root| {
        let objects = root.join(".git/objects");
        fs::rename(&objects, root.join(".git/away")).unwrap();
        fs::create_dir(&objects).unwrap();
    });
    let commit = ScanOptions { reference: Some("HEAD".into()), ..Default::default() };
    assert!(matches!(fixture.fails(&commit), ScanError::Ref { .. }));
    let fixture = Fixture::plain();
    fs::write(fixture.root.join(".git"), "gitdir: /nonexistent\n").unwrap();
    assert!(matches!(fixture.fails(&ScanOptions::default()), ScanError::Git { .. }));
}

#[test]
fn a_missing_object_costs_one_file() {
    let fixture = Fixture::committed(&[("a", "1"), ("b", "2")]);
    let blob = fixture.git(&["rev-parse", "HEAD:a"]);
    let (directory, name) = blob.trim().split_at(2);
    fs::remove_file(fixture.root.join(".git/objects").join(directory).join(name)).unwrap();
    let scan = fixture.scan_with(&ScanOptions { reference: Some("HEAD".into()), ..Default::default() });
    assert!(file(&scan, "a").unreadable.is_some());
    assert!(file(&scan, "b").unreadable.is_none());
}

#[test]
fn roots_that_are_none() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    for name in ["missing", "file"] {
        let result = scan(&dir.path().join(name), &ScanOptions::default());
        assert!(matches!(result, Err(ScanError::Root { .. })), "{name}");
    }
    let through_link = dir.path().join("link");
    symlink(&Fixture::committed(&[("a", "")]).root, &through_link).unwrap();
    assert!(matches!(scan(&through_link, &ScanOptions::default()), Err(ScanError::Root { .. })), "it dangles");
}

#[test]
fn depth_is_bounded() {
    let fixture = Fixture::plain();
    fixture.write(&[("a", "")]);
    let mut deep = fixture.root.join("d");
    for _ in 0..300 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("x"), "").unwrap();
    let scan = fixture.scan();
    assert_eq!(included(&scan), ["a"]);
    assert!(!scan.complete);
    assert!(scan.warnings[0].contains("deep"));
}

fn make_pipe(path: &Path) {
    fs::remove_file(path).ok();
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
}

#[test]
fn pipes_in_place_of_gits_files_do_not_hang() {
    let fixture = Fixture::committed(&[("a", ""), ("sub/b", "")]);
    make_pipe(&fixture.root.join("sub/.gitignore"));
    let scan = fixture.scan();
    assert_eq!((included(&scan), scan.complete), (vec!["a"], false));
    assert!(scan.warnings[0].contains("sub"), "{:?}", scan.warnings);
    for name in ["HEAD", "config", "index", "info/exclude"] {
        let fixture = Fixture::committed(&[("a", "")]);
        make_pipe(&fixture.root.join(".git").join(name));
        assert!(scan_result(&fixture).is_err(), "{name}");
    }
    let fixture = Fixture::committed(&[("a", "")]);
    fixture.git(&["config", "core.excludesFile", "/dev/zero"]);
    assert!(matches!(scan_result(&fixture), Err(ScanError::NotAFile { .. })));
    make_pipe(&fixture.root.join("lode.toml"));
    assert!(scan_result(&fixture).is_err());
}

fn scan_result(fixture: &Fixture) -> Result<Scan, ScanError> {
    scan(&fixture.root, &ScanOptions::default())
}

#[test]
fn forged_trees() {
    let fixture = Fixture::committed(&[("a", "x")]);
    let object = |kind: &str, content: &[u8]| {
        let path = fixture.root.join(".git/forged");
        fs::write(&path, content).unwrap();
        let id = fixture.git(&["hash-object", "--literally", "-w", "-t", kind, path.to_str().unwrap()]);
        gix::ObjectId::from_hex(id.trim().as_bytes()).unwrap()
    };
    let tree = |entries: &[(&str, &str, gix::ObjectId)]| {
        let entry = |(mode, name, id): &(&str, &str, gix::ObjectId)| {
            [mode.as_bytes(), b" ", name.as_bytes(), b"\0", id.as_slice()].concat()
        };
        object("tree", &entries.iter().map(entry).collect::<Vec<_>>().concat())
    };
    let blob = object("blob", b"x");
    let root = tree(&[("100644", "..", blob), ("100644", "ok", blob)]);
    let commit = fixture.git(&["commit-tree", "-m", "x", &root.to_string()]).trim().to_owned();
    let scan = fixture.scan_with(&ScanOptions { reference: Some(commit), ..Default::default() });
    assert_eq!(included(&scan), ["ok"]);
    assert_eq!(rule(&scan, ".."), "unsafe-path");
    // Ten levels of ten names each: 10^10 paths from eleven objects.
    let names = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let mut bomb = blob;
    for level in 0..10 {
        let mode = if level == 0 { "100644" } else { "40000" };
        bomb = tree(&names.map(|name| (mode, name, bomb)));
    }
    let repo = gix::open(&fixture.root).unwrap();
    assert!(super::super::git::record(&repo.find_tree(bomb).unwrap(), 1000).is_err());
}
