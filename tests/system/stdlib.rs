//! A whole standard library, and this repository, through the main job.

use std::path::{Path, PathBuf};
use std::process::Command;

use lode_tests::command::Output;
use lode_tests::lake::Lake;
use lode_tests::repo::list_git_files;
use lode_tests::{cache, venv};

fn python(script: &str) -> String {
    let output = Command::new(venv::python(cache())).args(["-c", script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_standard_library_of_python() {
    let root = PathBuf::from(python("import sysconfig; print(sysconfig.get_path('stdlib'), end='')"));
    let lake = Lake::default();
    let scope = ["--repo", "stdlib", "--include", "*.py", "--exclude", "site-packages/", "--exclude", "__pycache__/"];
    let output = Output::of(&mut lake.extraction(&root, &scope)).ok();
    let summary = output.summary();
    let files = &summary.files;
    assert_eq!((files.failed, files.quarantined), (0, 0), "{output}");
    assert_eq!(files.extracted as usize, count_python_files(&root), "{output}");

    // CPython's own verdict on every file.
    let refused = python(&format!(
        "import ast, os, warnings\nwarnings.simplefilter('ignore')\nroot = {root:?}\nfor d, ds, fs in os.walk(root):\n  \
         ds[:] = sorted(x for x in ds if x not in ('site-packages', '__pycache__'))\n  for f in sorted(fs):\n    \
         if f.endswith('.py'):\n      try: ast.parse(open(os.path.join(d, f), 'rb').read())\n      \
         except (SyntaxError, ValueError): print(os.path.relpath(os.path.join(d, f), root))"
    ));
    let mut refused: Vec<&str> = refused.lines().collect();
    refused.sort_unstable();
    let tables = lake.tables();
    assert_eq!(tables.texts("SELECT DISTINCT path FROM ast_errors ORDER BY path"), refused);

    let mean = tables.count("ast_nodes") / files.extracted as usize;
    assert!((500..5000).contains(&mean), "{mean} nodes a file");
    assert!(tables.count("ts_nodes") > tables.count("ast_nodes"));
    assert_eq!(
        tables.number("SELECT count(DISTINCT path) FROM ast_nodes"),
        tables.number(
            "SELECT count(DISTINCT path) FROM repo_files WHERE size_bytes > 0 AND path NOT IN (SELECT path FROM ast_errors)"
        ) + tables.number("SELECT count(*) FROM repo_files WHERE size_bytes = 0")
    );
    lake.verify();
}

#[test]
fn this_repository() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let lake = Lake::default();
    let summary = Output::of(&mut lake.extraction(root, &["--repo", "lode"])).ok().summary();
    if root.join(".git").exists() {
        assert_eq!(summary.files.scanned as usize, list_git_files(root).len());
    }
    assert_eq!(summary.files.failed + summary.files.quarantined, 0, "{summary:?}");
    let main = "SELECT count(*) FROM ts_defs WHERE path = 'client/src/main.rs' AND name = 'main'";
    assert_eq!(lake.tables().number(main), 1);
    lake.verify();
}

fn count_python_files(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).unwrap().flatten();
    entries
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            match entry.file_type().unwrap() {
                kind if kind.is_dir() && name != "site-packages" && name != "__pycache__" => {
                    count_python_files(&entry.path())
                }
                kind if kind.is_file() && name.ends_with(".py") => 1,
                _ => 0,
            }
        })
        .sum()
}
