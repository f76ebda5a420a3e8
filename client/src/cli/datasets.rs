//! Which datasets a run fills.

use globset::GlobBuilder;
use lode_facts::catalog::{Dataset, datasets};
use lode_facts::views::view;

use super::Failure;

/// Datasets that can be asked for: Lode's own records are always kept.
fn choosable() -> impl Iterator<Item = &'static Dataset> {
    datasets().iter().copied().filter(|dataset| dataset.lane.is_some())
}

/// The datasets that names and globs choose, in catalog order; the default ones when there are none.
pub(super) fn select(patterns: &[String]) -> Result<Vec<&'static str>, Failure> {
    if patterns.is_empty() {
        return Ok(choosable().filter(|dataset| dataset.default).map(|dataset| dataset.name).collect());
    }
    let mut chosen = vec![];
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).build();
        let glob = glob.map_err(|e| Failure::usage(format!("`{pattern}` is no glob: {}", e.kind())))?.compile_matcher();
        let before = chosen.len();
        chosen.extend(choosable().map(|dataset| dataset.name).filter(|name| glob.is_match(name)));
        if chosen.len() == before {
            return Err(unknown(pattern));
        }
    }
    Ok(choosable().map(|dataset| dataset.name).filter(|name| chosen.contains(name)).collect())
}

fn unknown(pattern: &str) -> Failure {
    if let Some(view) = view(pattern) {
        return Failure::usage(format!("`{pattern}` is a view and is not filled"))
            .hint(format!("it reads {}: fill them", view.reads.join(" and ")));
    }
    let names: Vec<&str> = choosable().map(|dataset| dataset.name).collect();
    let hint = match near(pattern, &names) {
        near if near.is_empty() => format!("datasets are {}", names.join(", ")),
        near => format!("did you mean {}? `lode tables` lists all", near.join(" or ")),
    };
    Failure::usage(format!("no dataset is called `{pattern}`")).hint(hint)
}

/// The names most like a wrong one, best first.
pub(super) fn near<'a>(wrong: &str, names: &[&'a str]) -> Vec<&'a str> {
    let mut scored: Vec<(f64, &str)> = names
        .iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), *name))
        .filter(|(score, _)| *score > 0.85)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_choose_in_catalog_order() {
        let chosen = select(&["scope_manifest".into(), "repo_f*".into(), "repo_files".into()]).unwrap();
        let position = |name: &str| choosable().position(|dataset| dataset.name == name).unwrap();
        assert!(chosen.contains(&"repo_files") && chosen.contains(&"scope_manifest"));
        assert!(chosen.windows(2).all(|pair| position(pair[0]) < position(pair[1])));
    }

    #[test]
    fn records_can_not_be_chosen() {
        assert!(select(&["extract_state".into()]).is_err());
    }

    #[test]
    fn views_can_not_be_chosen() {
        let refused = select(&["dim_qualified_names".into()]).unwrap_err();
        assert!(refused.advice().unwrap().contains("callsite_qname_candidates and cst_defs"));
    }

    #[test]
    fn a_wrong_name_brings_near_ones() {
        assert_eq!(
            near("repo_file", &["repo_files", "ast_nodes", "repo_file_blobs"]),
            ["repo_files", "repo_file_blobs"]
        );
        assert!(near("zzz", &["repo_files"]).is_empty());
    }
}
