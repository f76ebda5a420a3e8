//! Which paths a scan has.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// The scan lists what `git ls-files` does, without what is gone.
fn check_against_git(root: &Path) {
    let listed = |args: &[&str]| listed(&git_in(root, args));
    let mut expected = listed(&["ls-files", "-co", "--exclude-standard", "-z"]);
    for gone in listed(&["ls-files", "-d", "-z"]) {
        expected.remove(&gone);
    }
    // A file that a directory took the place of is as gone, though `ls-files -d` does not say so.
    let is_plain_directory = |path: &Path| path.is_dir() && !path.is_symlink() && !path.join(".git").exists();
    expected.retain(|path| !is_plain_directory(&root.join(path)));
    let scan = scan(root, &ScanOptions::default()).unwrap();
    assert_eq!(paths(&scan), expected);
    let tracked = listed(&["ls-files", "-c", "-z"]);
    for file in &scan.files {
        assert_eq!(file.meta.tracked, Some(tracked.contains(&file.meta.path)), "{}", file.meta.path);
    }
    assert!(scan.complete);
    assert!(scan.files.is_sorted_by_key(|file| file.meta.path_bytes.clone().unwrap_or(file.meta.path.clone().into())));
}

fn tricky() -> Fixture {
    let fixture = Fixture::committed(&[
        ("a.py", "print()\n"),
        ("gone.py", ""),
        ("renamed.py", "x = 1\n"),
        ("logs/kept.log", "tracked and ignored"),
        ("replaced/by/link.py", ""),
        ("file-then-dir", ""),
        ("build/tracked.o", ""),
        ("sub/.gitignore", "!deep.log\n/only-here\n*.tmp\n"),
    ]);
    fixture.write(&[
        (".gitignore", "*.log\nbuild/\n/target\nfoo/*\n!foo/keep\n**/cache/\ntrailing\\ \n[ab]x?\n\\#hash\n"),
        (".hidden/x", ""),
        ("logs/new.log", ""),
        ("build/new.o", ""),
        ("build/deep/new.o", ""),
        ("target/x", ""),
        ("sub/target/x", ""),
        ("sub/deep.log", ""),
        ("sub/only-here/x", ""),
        ("sub/y/only-here", ""),
        ("sub/z.tmp", ""),
        ("foo/drop", ""),
        ("foo/keep", ""),
        ("foo/dir/x", ""),
        ("a/b/cache/x", ""),
        ("a/b/cached/x", ""),
        ("trailing ", ""),
        ("axz", ""),
        ("axzz", ""),
        ("#hash", ""),
        ("excluded-here", ""),
        ("globally-excluded", ""),
        ("untracked/.gitignore", "*\n!.gitignore\n!kept\n"),
        ("untracked/kept", ""),
        ("untracked/dropped", ""),
        ("back\\slash", ""),
        ("new\nline", ""),
        ("tab\tand \"quotes\"", ""),
    ]);
    let root = &fixture.root;
    fs::write(root.join(".git/info/exclude"), "excluded-here\n").unwrap();
    fs::write(root.join(".git/global"), "globally-*\n").unwrap();
    fixture.git(&["config", "core.excludesFile", root.join(".git/global").to_str().unwrap()]);
    fixture.git(&["mv", "renamed.py", "moved.py"]);
    fs::remove_file(root.join("gone.py")).unwrap();
    fs::remove_dir_all(root.join("replaced/by")).unwrap();
    symlink("..", root.join("replaced/by")).unwrap();
    symlink("/etc/passwd", root.join("link-out")).unwrap();
    symlink("missing", root.join("dangling")).unwrap();
    symlink("target", root.join("link-to-ignored-dir")).unwrap();
    fs::remove_file(root.join("file-then-dir")).unwrap();
    fs::create_dir(root.join("file-then-dir")).unwrap();
    fs::write(root.join("file-then-dir/x"), "").unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    fixture
}

#[test]
fn same_as_git() {
    let fixture = tricky();
    check_against_git(&fixture.root);
    check_against_git(&fixture.root.join("sub"));
    check_against_git(&fixture.root.join("foo"));
}

#[test]
fn same_as_git_with_repositories_inside() {
    let fixture = Fixture::committed(&[("a", "")]);
    let inner = |path: &str| {
        fixture.write(&[(&format!("{path}/x"), "")]);
        git_in(&fixture.root.join(path), &["init", "-q"]);
    };
    inner("no-commit");
    inner("deep/inside/with-commit");
    let committed = fixture.root.join("deep/inside/with-commit");
    git_in(&committed, &["add", "."]);
    git_in(&committed, &["commit", "-qm", "x"]);
    fixture.write(&[("ignored/x", ""), (".gitignore", "ignored/\n"), ("fake/x", "")]);
    git_in(&fixture.root.join("ignored"), &["init", "-q"]);
    fs::create_dir(fixture.root.join("fake/.git")).unwrap();
    check_against_git(&fixture.root);
    let scan = fixture.scan();
    assert_eq!(rule(&scan, "no-commit"), "nested-repository");
    assert_eq!(file(&scan, "no-commit").meta.kind, FileKind::Submodule);
}

#[test]
fn same_as_git_during_a_conflict() {
    let fixture = Fixture::committed(&[("a", "1\n"), ("b", "1\n")]);
    fixture.git(&["checkout", "-q", "-b", "other"]);
    fixture.write(&[("a", "2\n")]);
    fixture.commit();
    fixture.git(&["checkout", "-q", "main"]);
    fixture.write(&[("a", "3\n")]);
    fixture.commit();
    let merge = Command::new("git").args(["merge", "-q", "other"]).current_dir(&fixture.root).output().unwrap();
    assert!(!merge.status.success());
    check_against_git(&fixture.root);
}

#[test]
fn files_are_described() {
    let fixture = Fixture::committed(&[("a.py", "print()\n"), ("run", "#!/usr/bin/env python3\n")]);
    fs::set_permissions(fixture.root.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    fixture.write(&[("new.rs", "fn main() {}\n")]);
    let head = fixture.commit();
    fixture.write(&[("late.txt", "")]);
    let scan = fixture.scan();
    assert_eq!(scan.git_commit, Some(head));
    let blob = fixture.git(&["rev-parse", "HEAD:a.py"]).trim().to_owned();
    let meta = &file(&scan, "a.py").meta;
    assert_eq!(meta.git_blob.as_ref(), Some(&blob));
    assert_eq!((meta.size, meta.mode), (8, 0o100_644));
    assert_eq!(meta.language.map(|l| l.name()), Some("python"));
    assert_eq!(file(&scan, "run").meta.mode, 0o100_755);
    assert_eq!(file(&scan, "run").meta.language.map(|l| l.name()), Some("python"));
    assert_eq!(file(&scan, "late.txt").meta.git_blob, None);
    assert_eq!(file(&scan, "late.txt").meta.tracked, Some(false));
    assert!(scan.files.iter().all(|file| file.meta.file_id == file_id(&scan.repo, file.meta.path.as_bytes())));
}

#[test]
fn hashes_are_those_of_sha256sum() {
    let fixture = Fixture::plain();
    let large = "x".repeat(3 << 20);
    fixture.write(&[("empty", ""), ("abc", "abc"), ("large", &large)]);
    let scan = fixture.scan();
    for name in ["empty", "abc", "large"] {
        let output = Command::new("sha256sum").arg(fixture.root.join(name)).output().unwrap();
        let expected = String::from_utf8(output.stdout).unwrap();
        assert_eq!(file(&scan, name).meta.sha256.as_deref(), expected.split(' ').next());
    }
}

#[test]
fn outside_git_everything_counts_but_the_defaults() {
    let fixture = Fixture::plain();
    fixture.write(&[
        (".hidden", ""),
        (".gitignore", "a.py\n"),
        ("a.py", ""),
        ("lib/venv/a.py", ""),
        ("env/pyvenv.cfg", ""),
        ("env/lib/a.py", ""),
        ("x/__pycache__/a.pyc", ""),
        ("node_modules/a.js", ""),
    ]);
    symlink("..", fixture.root.join("up")).unwrap();
    symlink("loop", fixture.root.join("loop")).unwrap();
    let fifo = fixture.root.join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    let scan = fixture.scan();
    assert_eq!(included(&scan), [".gitignore", ".hidden", "a.py", "lib/venv/a.py"]);
    for (path, expected) in [
        ("env/lib/a.py", "virtual-environment"),
        ("x/__pycache__/a.pyc", "exclude:__pycache__/"),
        ("node_modules/a.js", "exclude:node_modules/"),
        ("up", "symlink"),
        ("loop", "symlink"),
        ("fifo", "special"),
    ] {
        assert_eq!(rule(&scan, path), expected, "{path}");
    }
    assert_eq!(scan.repo, "root");
    assert_eq!((scan.git_commit.as_ref(), scan.complete), (None, true));
    assert!(scan.files.iter().all(|file| file.meta.tracked.is_none()));
    assert_eq!(file(&scan, "fifo").meta.kind, FileKind::Special);
}

#[test]
fn patterns_and_lode_toml() {
    let fixture = Fixture::committed(&[
        ("lode.toml", "[scan]\nexclude = ['docs/']\n"),
        ("docs/a.py", ""),
        ("src/a.py", ""),
        ("src/a.rs", ""),
    ]);
    let options = ScanOptions { include: texts(&["*.py"]), exclude: texts(&["/src/b*"]), ..Default::default() };
    for options in [options.clone(), ScanOptions { reference: Some("HEAD".into()), ..options }] {
        let scan = fixture.scan_with(&options);
        assert_eq!(included(&scan), ["src/a.py"]);
        assert_eq!(rule(&scan, "docs/a.py"), "exclude:docs/");
        assert_eq!(rule(&scan, "src/a.rs"), "not-included");
        assert_eq!(file(&scan, "docs/a.py").meta.sha256, None);
    }
    assert!(matches!(
        fixture.fails(&ScanOptions { exclude: texts(&["a["]), ..Default::default() }),
        ScanError::Pattern { .. }
    ));
    let limit = ScanOptions { max_files: Some(2), ..Default::default() };
    assert!(matches!(fixture.fails(&limit), ScanError::TooManyFiles { count: 3, limit: 2 }));
    fixture.write(&[("lode.toml", "[scan]\nfollow = true\n")]);
    assert!(matches!(fixture.fails(&ScanOptions::default()), ScanError::Config { .. }));
}

#[test]
fn submodules() {
    let inner = Fixture::committed(&[("in.py", "1\n")]);
    let middle = Fixture::committed(&[("mid.py", "")]);
    middle.git(&["submodule", "--quiet", "add", inner.root.to_str().unwrap(), "nested"]);
    middle.commit();
    let fixture = Fixture::committed(&[("a.py", "")]);
    fixture.git(&["submodule", "--quiet", "add", middle.root.to_str().unwrap(), "lib/mid"]);
    fixture.git(&["submodule", "--quiet", "update", "--init", "--recursive"]);
    let base = fixture.commit();
    fixture.write(&[("lib/mid/untracked.py", "")]);
    check_against_git(&fixture.root);
    let scan = fixture.scan();
    assert_eq!(included(&scan), [".gitmodules", "a.py"]);
    assert_eq!((rule(&scan, "lib/mid"), file(&scan, "lib/mid").meta.mode), ("submodule", 0o160_000));

    let options = ScanOptions { submodules: true, ..Default::default() };
    let scan = fixture.scan_with(&options);
    let expected = [
        ".gitmodules",
        "a.py",
        "lib/mid/.gitmodules",
        "lib/mid/mid.py",
        "lib/mid/nested/in.py",
        "lib/mid/untracked.py",
    ];
    assert_eq!(included(&scan), expected);
    assert_eq!(paths(&scan).len(), expected.len());
    assert_eq!(file(&scan, "lib/mid/untracked.py").meta.tracked, Some(false));

    // Changes are seen inside submodules, too.
    fixture.write(&[("lib/mid/nested/in.py", "2\n")]);
    fs::remove_file(fixture.root.join("lib/mid/mid.py")).unwrap();
    let scan = fixture.scan_with(&ScanOptions { changed_since: Some(base), ..options.clone() });
    assert_eq!(included(&scan), ["lib/mid/nested/in.py", "lib/mid/untracked.py"]);
    assert_eq!(scan.deleted, ["lib/mid/mid.py"]);

    fixture.git(&["submodule", "--quiet", "deinit", "-f", "lib/mid"]);
    let scan = fixture.scan_with(&options);
    assert_eq!(rule(&scan, "lib/mid"), "submodule");
    assert!(scan.warnings.iter().any(|warning| warning.contains("not checked out")), "{:?}", scan.warnings);
}

#[test]
fn linked_worktrees() {
    let fixture = Fixture::committed(&[("a.py", "1\n")]);
    let other = fixture.root.parent().unwrap().join("elsewhere");
    fixture.git(&["worktree", "add", "-q", "-b", "side", other.to_str().unwrap()]);
    fs::write(other.join("b.py"), "side").unwrap();
    // A claim on a directory that knows nothing of it.
    let victim = fixture.root.parent().unwrap().join("victim");
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("secret"), "").unwrap();
    let claim = fixture.root.join(".git/worktrees/claim");
    fs::create_dir(&claim).unwrap();
    fs::write(claim.join("gitdir"), victim.join(".git").as_os_str().as_bytes()).unwrap();
    fs::write(claim.join("commondir"), "../..").unwrap();
    fs::write(claim.join("HEAD"), "ref: refs/heads/main").unwrap();

    assert_eq!(included(&fixture.scan()), ["a.py"]);
    let scan = fixture.scan_with(&ScanOptions { worktrees: true, ..Default::default() });
    assert_eq!(included(&scan), [".worktrees/elsewhere/a.py", ".worktrees/elsewhere/b.py", "a.py"]);
    let mut reader = ContentReader::new(&scan, 100).unwrap();
    assert_eq!(reader.read(file(&scan, ".worktrees/elsewhere/b.py")).unwrap(), b"side");
    // Seen from the linked worktree, it is a repository like another.
    assert_eq!(included(&super::super::scan(&other, &ScanOptions::default()).unwrap()), ["a.py", "b.py"]);
}

#[test]
fn a_part_of_a_repository() {
    let fixture = Fixture::committed(&[("a.py", ""), ("src/b.py", ""), ("src/x/c.py", ""), (".gitignore", "*.log\n")]);
    fixture.write(&[("src/n.log", ""), ("src/new.py", "")]);
    fixture.git(&["remote", "add", "origin", "git@Example.org:o/n.git"]);
    let part = fixture.root.join("src");
    let scan = super::super::scan(&part, &ScanOptions::default()).unwrap();
    assert_eq!(included(&scan), ["b.py", "new.py", "x/c.py"]);
    assert_eq!((scan.repo.as_str(), scan.origin.as_deref()), ("example.org/o/n//src", Some("example.org/o/n")));
    assert_eq!(fixture.scan().repo, "example.org/o/n");
    let commit = ScanOptions { reference: Some("HEAD".into()), ..Default::default() };
    assert_eq!(included(&super::super::scan(&part, &commit).unwrap()), ["b.py", "x/c.py"]);
    let absent = fixture.root.join("empty");
    fs::create_dir(&absent).unwrap();
    assert!(matches!(super::super::scan(&absent, &commit), Err(ScanError::NotInTree { .. })));
}

#[test]
fn an_ignored_root_is_a_directory_like_another() {
    let fixture = Fixture::committed(&[(".gitignore", "env/\n")]);
    fixture.write(&[("env/site/a.py", "")]);
    let scan = super::super::scan(&fixture.root.join("env/site"), &ScanOptions::default()).unwrap();
    assert_eq!(included(&scan), ["a.py"]);
    assert!(scan.warnings[0].contains("ignores"));
    assert_eq!(scan.repo, "site");
}
