//! The rate of agreement in the summary of a run.

use std::process::Command;

use lode_tests::lake::Lake;
use lode_tests::repo::Repo;

const SOURCE: &str = "'doc'\nimport os\n\ndef f(x):\n    return [os.getcwd(y) for y in x]\n";
const DATASETS: [&str; 2] = ["--datasets", "agreement,agreement_counts"];

/// Version of the interpreter that tests use, as `3.13`.
fn version(python: &str) -> String {
    let script = "import sys; print('%d.%d' % sys.version_info[:2])";
    let output = Command::new(python).args(["-c", script]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_summary_has_the_rate_of_agreement() {
    let repo = Repo::of(&[("a.py", SOURCE), ("empty.py", ""), ("c.rs", "fn f() {}\n")]);
    let lake = Lake::default();
    let output = lake.try_extract(&repo, &DATASETS).ok();
    let json = &output.json_lines()[0]["agreement"];
    assert_eq!((&json["rate"], &json["compared"]), (&1.0.into(), &json["agreed"]), "{output}");
    let views: Vec<&String> = json["views"].as_object().unwrap().keys().collect();
    assert_eq!(views, ["cst", "rustpython", "symtable", "ts"], "{output}");
    let sums = "SELECT CAST(sum(compared) AS VARCHAR) FROM agreement_counts";
    assert_eq!(lake.tables().texts(sums), [json["compared"].to_string()]);
    assert!(json["compared"].as_i64().unwrap() > 20, "{output}");

    // An interpreter is one view more, and does the files again.
    let python = std::env::var("LODE_PYTHON").unwrap_or_else(|_| "python3".into());
    let (target, before) = (version(&python), json.clone());
    let asked = [&DATASETS[..], &["--python", &python, "--python-version", &target]].concat();
    let output = lake.try_extract(&repo, &asked).ok();
    let json = &output.json_lines()[0]["agreement"];
    assert_eq!(json["rate"], 1.0, "{output}");
    assert!(json["views"]["bytecode"]["compared"].as_i64() > Some(5), "{output}");
    assert!(json["compared"].as_i64() > before["compared"].as_i64(), "{output}");
    assert!(lake.query("SELECT DISTINCT python_version FROM agreement_counts").len() == 2);
    lake.verify();
}

#[test]
fn without_the_lane_there_is_no_rate() {
    let repo = Repo::of(&[("a.py", SOURCE)]);
    let output = Lake::default().try_extract(&repo, &["--datasets", "ast_defs"]).ok();
    assert!(output.json_lines()[0].get("agreement").is_none(), "{output}");
}
