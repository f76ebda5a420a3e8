//! Bad files: each ends in exactly one state, with a row, and no other file suffers.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::repo::{Repo, python_module};

/// How the AST lane left each file: `extracted`, with or without error rows, or else.
fn ast_status(lake: &Lake, path: &str) -> (String, i64) {
    let tables = lake.tables();
    let status = tables.texts(&format!("SELECT status FROM extract_state WHERE lane = 'ast' AND path = '{path}'"));
    let errors = tables.number(&format!("SELECT count(*) FROM ast_errors WHERE path = '{path}'"));
    (status.first().cloned().unwrap_or_default(), errors)
}

#[test]
fn text_of_any_encoding() {
    let utf16: Vec<u8> = "x = 1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let files: &[(&str, &[u8], bool)] = &[
        ("empty.py", b"", true),
        ("bom.py", b"\xef\xbb\xbfx = 1\n", true),
        ("latin1.py", b"# -*- coding: latin-1 -*-\nx = '\xe9'\n", true),
        ("cr_only.py", b"x = 1\ry = 2\r", true),
        ("no_newline.py", b"x = 1", true),
        ("form_feed.py", b"\x0cx = 1\n", true),
        ("invalid_utf8.py", b"x = '\xff\xfe'\n", false),
        ("nul.py", b"x = 1\n\0\ny = 2\n", false),
        ("bom_against_cookie.py", b"\xef\xbb\xbf# coding: latin-1\nx = 1\n", false),
        ("unknown_cookie.py", b"# coding: no-such-codec\nx = 1\n", false),
        ("utf16.py", &utf16, false),
        ("binary.py", &[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0xff, 0xc3, 0x28], false),
        ("syntax.py", b"def (:\n", false),
        ("tabs.py", b"if x:\n\ty = 1\n        z = 2\n", false),
    ];
    let repo = Repo::of(&files.iter().map(|(path, content, _)| (*path, *content)).collect::<Vec<_>>());
    repo.write("good.py", python_module(1));
    let lake = Lake::default();
    let summary = lake.extract(&repo, &[]);
    assert_eq!(summary.files.scanned as usize, files.len() + 1);
    assert_eq!(summary.files.extracted, summary.files.scanned, "a syntax error is no failure: {summary:?}");
    for (path, _, valid) in files {
        let (status, errors) = ast_status(&lake, path);
        assert_eq!((status.as_str(), errors == 0), ("extracted", *valid), "{path}: {errors} error rows");
    }
    assert!(lake.tables().number("SELECT count(*) FROM ast_nodes WHERE path = 'good.py'") > 30);
    lake.verify();
}

#[test]
fn deep_nesting_costs_at_most_the_file() {
    let depth = 10_000;
    let repo = Repo::default();
    let nested = |open: &str, close: &str| format!("x = {}1{}\n", open.repeat(depth), close.repeat(depth));
    repo.write("parentheses.py", nested("(", ")"));
    repo.write("lists.py", nested("[", "]"));
    repo.write("unary.py", format!("x = {}1\n", "-".repeat(depth)));
    repo.write("operators.py", format!("x = {}1\n", "1 + ".repeat(depth)));
    repo.write("attributes.py", format!("x = a{}\n", ".b".repeat(depth)));
    repo.write("unclosed.py", "(".repeat(depth));
    repo.write("blocks.py", (0..200).map(|n| format!("{}if x:\n", " ".repeat(n))).collect::<String>());
    repo.write("arrays.js", nested("[", "]"));
    repo.write("blocks.c", format!("int f() {}{}\n", "{".repeat(depth), "}".repeat(depth)));
    repo.write("generics.rs", format!("type T = {}u8{};\n", "Vec<".repeat(depth), ">".repeat(depth)));
    repo.write("good.py", python_module(1));
    let lake = Lake::default();
    let summary = lake.extract(&repo, &[]);
    assert_eq!(summary.files.scanned, 11);
    assert_eq!(summary.files.failed + summary.files.skipped, 0, "{summary:?}");
    assert_eq!(ast_status(&lake, "good.py"), ("extracted".to_owned(), 0));
    // CPython refuses 200 nested brackets as well.
    assert!(ast_status(&lake, "parentheses.py").1 > 0 || ast_status(&lake, "parentheses.py").0 == "quarantined");
    lake.verify();
    let again = lake.extract(&repo, &[]);
    assert_eq!(again.files.extracted, 0, "{again:?}");
}

#[test]
fn large_files_are_bounded() {
    let repo = Repo::default();
    repo.write("one_line.py", format!("x = '{}'\n", "a".repeat(50 << 20)));
    repo.write("one_line.txt", "b".repeat(50 << 20));
    File::create(repo.root().join("huge.py")).unwrap().set_len(1 << 30).unwrap();
    repo.write("good.py", python_module(1));
    let lake = Lake::default();
    let summary = lake.extract(&repo, &[]);
    assert_eq!(summary.files.scanned, 4);
    assert!(summary.files.quarantined >= 1, "1 GB is above the limit: {summary:?}");
    assert!(summary.peak_rss_bytes < 2 << 30, "{summary:?}");
    assert_eq!(ast_status(&lake, "good.py"), ("extracted".to_owned(), 0));
    let limit = lake.tables().texts("SELECT DISTINCT limit_name FROM quarantine WHERE path = 'huge.py'");
    assert_eq!(limit, ["file_bytes"]);
    lake.verify();
}

#[test]
fn links_and_special_files_are_rows_and_nothing_else() {
    let repo = Repo::of(&[("good.py", python_module(1))]);
    let outside = Repo::of(&[("secret.py", "secret = 1\n")]);
    repo.symlink("loop_a", "loop_b").symlink("loop_b", "loop_a").symlink("self", ".");
    repo.symlink("outside.py", outside.root().join("secret.py").to_str().unwrap());
    repo.symlink("outside", outside.root().to_str().unwrap()).symlink("dangling.py", "nowhere.py");
    assert!(Command::new("mkfifo").arg(repo.root().join("pipe.py")).status().unwrap().success());
    let lake = Lake::default();
    let summary = lake.extract(&repo, &[]);
    assert_eq!((summary.files.scanned, summary.files.extracted, summary.files.skipped), (8, 1, 7), "{summary:?}");
    let tables = lake.tables();
    assert_eq!(tables.number("SELECT count(*) FROM file_line_index WHERE path <> 'good.py'"), 0);
    assert_eq!(tables.count("scope_manifest"), 8);
}

#[test]
fn names_that_are_not_utf8() {
    let repo = Repo::of(&[("good.py", python_module(1))]);
    let names: [&[u8]; 4] = [b"caf\xe9.py", b"new\nline.py", b"quo'te \"x\".py", "größe ☃.py".as_bytes()];
    for name in names {
        repo.write(Path::new(std::ffi::OsStr::from_bytes(name)), "x = 1\n");
    }
    let lake = Lake::default();
    let summary = lake.extract(&repo, &[]);
    assert_eq!(summary.files.extracted, 5, "{summary:?}");
    let tables = lake.tables();
    assert_eq!(tables.number("SELECT count(*) FROM ast_defs WHERE path = 'good.py'").min(1), 1);
    assert_eq!(tables.number(r"SELECT count(*) FROM repo_files WHERE path = 'caf\xE9.py' OR path = 'caf\xe9.py'"), 1);
    lake.verify();

    repo.commit("names");
    lake.extract(&repo, &[]);
    lake.verify();
    lake.assert_same_facts(&Lake::of(&repo, &[]));
}

#[test]
fn unreadable_files_are_failures_of_their_own() {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } == 0 {
        return; // root reads everything
    }
    let repo = Repo::of(&[("good.py", python_module(1)), ("locked.py", python_module(2))]);
    repo.chmod("locked.py", 0o000);
    let lake = Lake::default();
    let summary = lake.extract(&repo, &[]);
    assert_eq!((summary.files.extracted, summary.files.failed), (1, 1), "{summary:?}");
    let strict = lake.try_extract(&repo, &["--fail-on", "failed"]);
    assert_ne!(strict.code, Some(0), "{strict}");
    repo.chmod("locked.py", 0o644);
    assert_eq!(lake.extract(&repo, &[]).files.failed, 0);
}

#[test]
fn files_may_vanish_and_change_while_the_run_works() {
    let repo = Repo::sample(300);
    let lake = Lake::default();
    thread::scope(|scope| {
        let meddler = scope.spawn(|| {
            for n in (0..300).rev().filter(|n| n % 12 == 0) {
                repo.write(
                    format!("{}/m{n}.py", ["api", "core", "core/deep/down", "tools", "vendor-ish"][n % 5]),
                    "y = 2\n",
                );
                thread::sleep(std::time::Duration::from_millis(20));
            }
            for n in (0..300).rev().filter(|n| n % 12 == 1) {
                repo.remove(format!("{}/m{n}.py", ["api", "core", "core/deep/down", "tools", "vendor-ish"][n % 5]));
                thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        let summary = lake.extract(&repo, &["--shards", "12"]);
        assert!((250..=300).contains(&summary.files.scanned), "{summary:?}");
        meddler.join().unwrap();
    });
    // The bytes that were extracted define the rows, so the lake is consistent with itself ...
    lake.verify();
    // ... and the next run brings it to what is there now.
    lake.extract(&repo, &["--shards", "12"]);
    lake.assert_same_facts(&Lake::of(&repo, &["--shards", "12"]));
}

#[test]
fn generated_and_binary_files_are_marked() {
    let repo = Repo::of(&[
        ("image.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice()),
        ("code.py", b"# @generated by tool\nx = 1\n"),
        ("script", b"#!/usr/bin/env python3\nx = 1\n"),
    ]);
    let lake = Lake::default();
    lake.extract(&repo, &[]);
    let tables = lake.tables();
    assert_eq!(tables.number("SELECT count(*) FROM ast_nodes WHERE path = 'script'").min(1), 1, "found by its shebang");
    assert_eq!(tables.number("SELECT count(*) FROM ast_nodes WHERE path = 'image.png'"), 0);
    assert_eq!(tables.texts("SELECT language FROM repo_files WHERE path = 'script'"), ["python"]);
}

#[test]
fn a_full_lake_is_an_error_and_the_run_can_be_resumed() {
    let repo = Repo::sample(30);
    let lake = Lake::default();
    let mut command = lake.extraction(repo.root(), &["--run-id", "r1"]);
    limit_file_size(&mut command, 8 << 10);
    let output = Output::of(&mut command);
    assert!(output.code.is_some_and(|code| code != 0), "{output}");
    assert!(!output.stderr.contains("panicked"), "{output}");
    assert_ne!(output.summary().state, "committed");
    lake.try_extract(&repo, &["--run-id", "r1"]).ok();
    lake.verify();
    lake.assert_same_facts(&Lake::of(&repo, &[]));
}

/// Writes beyond `bytes` fail, as on a full disk.
fn limit_file_size(command: &mut Command, bytes: u64) {
    use std::os::unix::process::CommandExt;
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: both calls are async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            match libc::setrlimit(libc::RLIMIT_FSIZE, &limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
}
