//! What a run costs, as its summary says, is what all its processes cost.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use lode_tests::lake::Lake;
use lode_tests::repo::{Repo, python_module};
use lode_tests::{cache, venv};

/// What an interpreter of a worker takes before it compiles anything.
const SECONDS: f64 = 3.0;
const MIB: u64 = 300;

/// A worker's interpreters are its children, not the run's: they count all the same.
#[test]
fn interpreters_are_part_of_the_process_tree() {
    let home = tempfile::TempDir::new().unwrap();
    let python = home.path().join("costly-python");
    // The run itself also starts one, to ask for its version; that one is to cost nothing.
    let script = format!(
        "#!{} -ISB\nimport os, sys, time\n\
         if b'lode-worker' in open(f'/proc/{{os.getppid()}}/cmdline', 'rb').read():\n  \
         held = bytearray(b'x') * ({MIB} << 20)\n  while time.process_time() < {SECONDS}: pass\n\
         script = sys.argv[-2]\nsys.argv = ['-c', sys.argv[-1]]\nexec(script, {{'__name__': '__main__'}})\n",
        venv::python(cache()).display()
    );
    fs::write(&python, script).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();

    let repo = Repo::of(&[("a.py", python_module(1))]);
    let cost = |args: &[&str]| {
        let lake = Lake::default();
        let summary = lake.extract(&repo, &[&["--datasets", "bytecode_code_units"], args].concat());
        assert_eq!((summary.files.failed, summary.files.quarantined), (0, 0), "{summary:?}");
        summary
    };
    let cheap = cost(&["--python", &venv::python(cache()).display().to_string()]);
    let costly = cost(&["--python", python.to_str().unwrap()]);
    assert!(cheap.core_seconds < SECONDS, "{cheap:?}");
    assert!(costly.core_seconds > SECONDS, "{costly:?}");
    assert!(cheap.peak_rss_bytes < MIB << 20, "{cheap:?}");
    assert!(costly.peak_rss_bytes > MIB << 20, "{costly:?}");
}
