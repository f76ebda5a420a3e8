//! Scans of commits, of differences, and of what earlier scans know.

use std::thread::sleep;
use std::time::Duration;

use super::*;

fn since(reference: &str) -> ScanOptions {
    ScanOptions { changed_since: Some(reference.to_owned()), ..Default::default() }
}

/// The scan has what `git diff` names, and what is untracked.
fn check_against_git(fixture: &Fixture, base: &str, commit: Option<&str>) {
    let mut args = vec!["diff", "--no-renames", "--name-status", "-z", base];
    args.extend(commit);
    let diff = fixture.git(&args);
    let mut fields = diff.split('\0');
    let (mut changed, mut deleted) = (BTreeSet::new(), BTreeSet::new());
    while let (Some(status), Some(path)) = (fields.next(), fields.next()) {
        if status == "D" {
            deleted.insert(path.to_owned())
        } else {
            changed.insert(path.to_owned())
        };
    }
    if commit.is_none() {
        changed.extend(listed(&fixture.git(&["ls-files", "-o", "--exclude-standard", "-z"])));
        deleted.retain(|path| !changed.contains(path));
    }
    let scan = fixture.scan_with(&ScanOptions { reference: commit.map(str::to_owned), ..since(base) });
    assert_eq!(paths(&scan), changed);
    assert_eq!(scan.deleted.iter().cloned().collect::<BTreeSet<_>>(), deleted);
    assert!(!scan.complete);
}

#[test]
fn differences_are_those_of_git() {
    let fixture = Fixture::committed(&[
        ("same", "1\n"),
        ("touched", "1\n"),
        ("changed", "1\n"),
        ("removed", "1\n"),
        ("staged", "1\n"),
        ("mode", "1\n"),
        ("old-name", "1\n2\n3\n"),
        ("dir/a", "1\n"),
        ("dir/b", "1\n"),
        ("to-link", "same"),
        ("untracked-again", "1\n"),
        (".gitignore", "*.log\n"),
    ]);
    let base = fixture.git(&["rev-parse", "HEAD"]).trim().to_owned();
    check_against_git(&fixture, &base, None);
    fixture.write(&[("committed-later", "1\n"), ("dir/b", "2\n")]);
    let later = fixture.commit();
    fixture.write(&[
        ("touched", "1\n"),
        ("changed", "2\n"),
        ("staged", "2\n"),
        ("new", "1\n"),
        ("x.log", "1\n"),
        ("changed-size", ""),
    ]);
    fixture.git(&["add", "staged"]);
    fixture.write(&[("staged", "1\n")]);
    fixture.git(&["mv", "old-name", "new-name"]);
    fixture.git(&["rm", "-q", "--cached", "untracked-again"]);
    fs::remove_file(fixture.root.join("removed")).unwrap();
    fs::remove_file(fixture.root.join("to-link")).unwrap();
    std::os::unix::fs::symlink("same", fixture.root.join("to-link")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(fixture.root.join("mode"), mode).unwrap();
    let scan = fixture.scan_with(&since(&base));
    assert!(!paths(&scan).contains("staged"), "what is on disk counts, not the index");
    assert!(!paths(&scan).contains("untracked-again"), "equal content is no change, tracked or not");
    assert_eq!(scan.base_commit.as_ref(), Some(&base));
    fs::remove_file(fixture.root.join("untracked-again")).unwrap();
    fixture.git(&["add", "staged"]);
    check_against_git(&fixture, &base, None);
    check_against_git(&fixture, &later, None);
    check_against_git(&fixture, &base, Some(&later));
}

#[test]
fn unresolvable_references_are_errors() {
    let fixture = Fixture::committed(&[("a", "")]);
    for reference in ["no-such-branch", "deadbeef", "HEAD~5", "", "HEAD:a", "--help", "@{upstream}"] {
        assert!(matches!(fixture.fails(&since(reference)), ScanError::Ref { .. }), "{reference}");
        let options = ScanOptions { reference: Some(reference.into()), ..Default::default() };
        assert!(matches!(fixture.fails(&options), ScanError::Ref { .. }), "{reference}");
    }
    let plain = Fixture::plain();
    assert!(matches!(plain.fails(&since("HEAD")), ScanError::NotGit { option: "--changed-since", .. }));
}

#[test]
fn sparse_files_are_not_deleted() {
    let fixture = Fixture::committed(&[("in/a", ""), ("out/b", ""), ("out/c", "")]);
    fixture.git(&["sparse-checkout", "set", "in"]);
    assert!(!fixture.root.join("out").exists());
    let scan = fixture.scan_with(&since("HEAD"));
    assert_eq!((scan.files.len(), scan.deleted.len()), (0, 0), "{:?}", scan.deleted);
    fixture.git(&["sparse-checkout", "set", "--sparse-index", "in"]);
    assert_eq!(fixture.scan_with(&since("HEAD")).deleted.len(), 0);
}

#[test]
fn a_commit_is_read_without_a_checkout() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    let fixture = Fixture::committed(&[("a.py", "old\n"), ("d/b.py", ""), ("big.bin", pointer)]);
    std::os::unix::fs::symlink("a.py", fixture.root.join("link")).unwrap();
    let commit = fixture.commit();
    fixture.git(&["tag", "--no-sign", "-a", "v1", "-m", "x"]);
    fixture.write(&[("a.py", "new\n"), ("untracked", "")]);
    fs::remove_dir_all(fixture.root.join("d")).unwrap();
    let scan = fixture.scan_with(&ScanOptions { reference: Some("v1".into()), ..Default::default() });
    assert_eq!(paths(&scan), listed(&fixture.git(&["ls-tree", "-r", "-z", "--name-only", "v1"])));
    assert_eq!(scan.git_commit, Some(commit));
    assert_eq!(included(&scan), ["a.py", "d/b.py"]);
    assert_eq!((rule(&scan, "big.bin"), rule(&scan, "link")), ("lfs-pointer", "symlink"));
    let mut reader = ContentReader::new(&scan, 100).unwrap();
    assert_eq!(reader.read(file(&scan, "a.py")).unwrap(), b"old\n");
    let mut reader = ContentReader::new(&scan, 3).unwrap();
    assert!(matches!(reader.read(file(&scan, "a.py")), Err(ReadError::TooLarge { size: 4, limit: 3 })));
}

#[test]
fn the_cache_spares_reading() {
    let fixture = Fixture::plain();
    fixture.write(&[("a", "1"), ("b", "1")]);
    sleep(Duration::from_millis(150));
    let mut options = ScanOptions::default();
    let first = fixture.scan_with(&options);
    // A wrong entry shows whether it is used.
    let text = serde_json::to_string(&first.cache).unwrap();
    let sha256 = file(&first, "a").meta.sha256.clone().unwrap();
    let wrong = "0".repeat(64);
    options.cache = Some(serde_json::from_str(&text.replace(&sha256, &wrong)).unwrap());
    fs::write(fixture.root.join("b"), "2").unwrap();
    let second = fixture.scan_with(&options);
    assert_eq!(file(&second, "a").meta.sha256, Some(wrong));
    assert_ne!(file(&second, "b").meta.sha256, Some(sha256.clone()));
    assert_eq!(second.cache.len(), 2);
    // Same size, same modification time, another content.
    let mtime = fs::metadata(fixture.root.join("a")).unwrap().modified().unwrap();
    fs::write(fixture.root.join("a"), "3").unwrap();
    fs::File::open(fixture.root.join("a")).unwrap().set_modified(mtime).unwrap();
    let third = fixture.scan_with(&options);
    assert_ne!(file(&third, "a").meta.sha256, file(&second, "a").meta.sha256);
    assert_ne!(file(&third, "a").meta.sha256, Some(sha256));
}
