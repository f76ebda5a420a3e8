//! The files of containers say what the commands take.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_yaml::Value;

fn file(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Services of the compose file that are built here, with what they are built to.
fn services() -> Vec<(String, String, Value)> {
    let mut compose: Value = serde_yaml::from_str(&file("compose.yaml")).unwrap();
    compose.apply_merge().unwrap();
    let services = compose["services"].as_mapping().unwrap();
    let own = services.iter().filter_map(|(name, service)| {
        let target = service["build"]["target"].as_str()?.to_owned();
        Some((name.as_str().unwrap().to_owned(), target, service.clone()))
    });
    own.collect()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_sequence().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

#[test]
fn commands_of_the_compose_file_are_understood() {
    let mut roles = BTreeSet::new();
    for (name, target, service) in services() {
        let (command, prefix) = match target.as_str() {
            "client" => (lode::cli::command(), "LODE_"),
            "scheduler" => (lode_scheduler::daemon::command(), "LODE_SCHEDULER_"),
            "executor" => (lode_executor::daemon::command(), "LODE_EXECUTOR_"),
            other => panic!("{name} is built to {other}"),
        };
        let program = command.get_name().to_owned();
        let arguments = std::iter::once(program).chain(texts(&service["command"]));
        let variables = service["environment"].as_mapping().unwrap();
        let variables: BTreeSet<&str> = variables.keys().map(|key| key.as_str().unwrap()).collect();
        // What is required and comes from a variable is given here as the variable would.
        let lake: &[&str] = if variables.contains("LODE_LAKE") { &["--lake", "s3://lakes/example"] } else { &[] };
        let scheduler: &[&str] = if target == "client" && variables.contains("LODE_SCHEDULER") {
            &["--scheduler", "df://scheduler:50050"]
        } else {
            &[]
        };
        let arguments = arguments.chain(lake.iter().chain(scheduler).map(|text| (*text).to_owned()));
        let settings: BTreeSet<String> = command
            .get_arguments()
            .map(|argument| format!("{prefix}{}", argument.get_id().as_str().to_uppercase()))
            .chain(["LODE_TOKEN", "LODE_CLUSTER_TOKEN", "LODE_SCHEDULER", "LODE_LAKE"].map(str::to_owned))
            .collect();
        for variable in variables.iter().filter(|variable| variable.starts_with("LODE_")) {
            assert!(settings.contains(*variable), "{name}: {variable} is no setting");
        }
        if let Err(error) = command.try_get_matches_from(arguments) {
            panic!("{name}: {error}");
        }
        roles.insert(target);
    }
    assert_eq!(roles, ["client", "executor", "scheduler"].map(str::to_owned).into());
}

#[test]
fn executors_are_known_by_the_names_of_their_services() {
    for (name, target, service) in services() {
        if target == "executor" {
            assert!(texts(&service["command"]).contains(&format!("--advertise={name}")), "{name}");
        }
    }
}

#[test]
fn every_target_is_a_stage_of_the_dockerfile_and_no_image_runs_as_root() {
    let dockerfile = file("Dockerfile");
    let stages: Vec<&str> =
        dockerfile.lines().filter_map(|line| Some(line.strip_prefix("FROM ")?.split_once(" AS ")?.1)).collect();
    for (name, target, _) in services() {
        assert!(stages.contains(&target.as_str()), "{name}: no stage {target}");
        let stage = dockerfile.lines().skip_while(|line| !line.ends_with(&format!(" AS {target}")));
        let base = stage.clone().next().unwrap();
        assert!(base.starts_with("FROM base "), "{target} stands on {base}");
        assert!(stage.take_while(|line| !line.is_empty()).all(|line| !line.starts_with("USER")), "{target}");
    }
    let base = dockerfile.lines().skip_while(|line| !line.ends_with(" AS base"));
    let user = base.take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix("USER ")).unwrap();
    assert!(user.starts_with(|digit: char| ('1'..='9').contains(&digit)), "{user} is a number that is not root's");
    // The compiler is the one that the repository asks for.
    let channel = file("rust-toolchain.toml")
        .lines()
        .find_map(|line| line.strip_prefix("channel = ").map(str::to_owned))
        .unwrap();
    assert!(dockerfile.contains(&format!("FROM rust:{}-", channel.trim_matches('"'))), "{channel}");
}
