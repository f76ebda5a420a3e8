//! The scope of a scan: which paths are in, and by which rule.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use figment::Figment;
use figment::providers::{Format, Toml};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use serde::Deserialize;

use super::ScanError;

/// Name of the file in which a repository narrows its own scope.
pub const CONFIG_FILE: &str = "lode.toml";

/// A larger one is refused.
pub const MAX_CONFIG_BYTES: u64 = 64 << 10;

/// Directories left out outside git, where no `.gitignore` names them. (Virtual environments are known by `pyvenv.cfg`:
/// `venv` is also the name of packages.)
const DEFAULT_EXCLUDES: &[&str] =
    &["__pycache__/", "node_modules/", "dist/", "build/", ".mypy_cache/", ".pytest_cache/", ".ruff_cache/"];

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    scan: ScanConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ScanConfig {
    include: Vec<String>,
    exclude: Vec<String>,
}

/// Patterns of one origin.
#[derive(Debug)]
struct Layer {
    include: Option<Gitignore>,
    exclude: Gitignore,
}

impl Layer {
    fn new(origin: &'static str, include: &[String], exclude: &[String]) -> Result<Self, ScanError> {
        let include = if include.is_empty() { None } else { Some(matcher(origin, include)?) };
        Ok(Self { include, exclude: matcher(origin, exclude)? })
    }
}

fn matcher(origin: &'static str, patterns: &[String]) -> Result<Gitignore, ScanError> {
    let wrong = |pattern: &str, reason: String| ScanError::Pattern { pattern: pattern.into(), origin, reason };
    let mut builder = GitignoreBuilder::new("");
    for pattern in patterns {
        let text = pattern.trim();
        if matches!(text, "" | "!" | "/" | "!/") || text.starts_with('#') {
            return Err(wrong(pattern, "it matches nothing".into()));
        }
        if text.split('/').any(|component| component == "..") {
            return Err(wrong(pattern, "nothing outside the root can be in scope".into()));
        }
        if has_open_class(text) {
            return Err(wrong(pattern, "`[` is not closed".into()));
        }
        builder.add_line(None, pattern).map_err(|error| wrong(pattern, error.to_string()))?;
    }
    builder.build().map_err(|error| wrong(&patterns.join(" "), error.to_string()))
}

/// Whether a `[` has no `]`: the matcher would take it for itself, which nobody means.
fn has_open_class(pattern: &str) -> bool {
    let mut chars = pattern.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\\' => drop(chars.next()),
            '[' => {
                chars.next_if(|c| matches!(c, '!' | '^'));
                // A `]` that comes first stands for itself.
                chars.next();
                if !chars.any(|c| c == ']') {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

/// Whether a path is in scope, and the rule that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is in scope.
    pub included: bool,
    /// `default`, `include:<pattern>`, `exclude:<pattern>` or `not-included`.
    pub rule: String,
}

/// The rules of a scan.
///
/// A path is in scope if it matches the `include` of every origin that has one, and no `exclude`. Within a list the last
/// match wins, and `!` takes a match back. Options may take back what comes before them; `lode.toml` can only narrow.
#[derive(Debug)]
pub struct Rules {
    defaults: Gitignore,
    repository: Layer,
    options: Layer,
}

impl Rules {
    /// Rules of the repository's `lode.toml` (its text, if there is one) and of the options.
    pub fn new(config: Option<&str>, include: &[String], exclude: &[String], in_git: bool) -> Result<Self, ScanError> {
        let config: Config = match config {
            Some(text) => Figment::from(Toml::string(text))
                .extract()
                .map_err(|error| ScanError::Config { reason: error.to_string() })?,
            None => Config::default(),
        };
        let defaults: Vec<String> =
            if in_git { vec![] } else { DEFAULT_EXCLUDES.iter().map(|pattern| (*pattern).to_owned()).collect() };
        Ok(Self {
            defaults: matcher("the defaults", &defaults)?,
            repository: Layer::new("`lode.toml`", &config.scan.include, &config.scan.exclude)?,
            options: Layer::new("the options", include, exclude)?,
        })
    }

    /// The verdict on a file, by its path below the root.
    pub fn verdict(&self, path: &[u8]) -> Verdict {
        let path = Path::new(OsStr::from_bytes(path));
        let mut rule = "default".to_owned();
        for include in [&self.repository.include, &self.options.include].into_iter().flatten() {
            match include.matched_path_or_any_parents(path, false) {
                Match::Ignore(glob) => rule = format!("include:{}", glob.original()),
                Match::Whitelist(_) | Match::None => return Verdict { included: false, rule: "not-included".into() },
            }
        }
        let excluded = |layer: &Gitignore| match layer.matched_path_or_any_parents(path, false) {
            Match::Ignore(glob) => Some((false, glob.original().to_owned())),
            Match::Whitelist(glob) => Some((true, glob.original().to_owned())),
            Match::None => None,
        };
        if let Some((kept, pattern)) = excluded(&self.options.exclude) {
            return Verdict { included: kept, rule: format!("exclude:{pattern}") };
        }
        let narrowed = [&self.repository.exclude, &self.defaults].into_iter().filter_map(excluded);
        match narrowed.into_iter().find(|(kept, _)| !kept) {
            Some((_, pattern)) => Verdict { included: false, rule: format!("exclude:{pattern}") },
            None => Verdict { included: true, rule },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(config: &str, include: &[&str], exclude: &[&str], in_git: bool) -> Result<Rules, ScanError> {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        Rules::new(Some(config), &own(include), &own(exclude), in_git)
    }

    fn check(rules: &Rules, path: &str, included: bool, rule: &str) {
        assert_eq!(rules.verdict(path.as_bytes()), Verdict { included, rule: rule.into() }, "{path}");
    }

    #[test]
    fn last_match_wins() {
        let rules = rules("", &[], &["*.py", "!keep.py", "gen/"], true).unwrap();
        check(&rules, "a.py", false, "exclude:*.py");
        check(&rules, "x/keep.py", true, "exclude:!keep.py");
        check(&rules, "gen/keep.py", true, "exclude:!keep.py");
        check(&rules, "gen/a.rs", false, "exclude:gen/");
        check(&rules, "a.rs", true, "default");
    }

    #[test]
    fn includes_of_every_origin_must_match() {
        let rules = rules("[scan]\ninclude = ['src/']", &["*.py"], &["/src/x.py"], true).unwrap();
        check(&rules, "src/a.py", true, "include:*.py");
        check(&rules, "src/a.rs", false, "not-included");
        check(&rules, "a.py", false, "not-included");
        check(&rules, "src/x.py", false, "exclude:/src/x.py");
        check(&rules, "src/src/x.py", true, "include:*.py");
    }

    #[test]
    fn the_repository_can_only_narrow() {
        let config = "[scan]\nexclude = ['*.md', '!secret.txt', '!node_modules/']";
        let rules = rules(config, &[], &["secret.txt", "!a.md"], false).unwrap();
        check(&rules, "secret.txt", false, "exclude:secret.txt");
        check(&rules, "node_modules/x.js", false, "exclude:node_modules/");
        check(&rules, "b.md", false, "exclude:*.md");
        check(&rules, "a.md", true, "exclude:!a.md");
        for config in ["[lanes]", "[scan]\nrepo = 'x'", "[scan]\ninclude = 3", "scan ="] {
            assert!(
                matches!(super::Rules::new(Some(config), &[], &[], true), Err(ScanError::Config { .. })),
                "{config}"
            );
        }
    }

    #[test]
    fn defaults_hold_outside_git_alone() {
        check(&rules("", &[], &[], true).unwrap(), "build/a.py", true, "default");
        check(&rules("", &[], &[], false).unwrap(), "a/build/a.py", false, "exclude:build/");
        check(&rules("", &[], &["!build/"], false).unwrap(), "a/build/a.py", true, "exclude:!build/");
    }

    #[test]
    fn wrong_patterns() {
        for pattern in ["a[", "[", "[]", "[!", "x[a-", "a[]b/c", "", "#x", "../x", "a/../../b", "!", "{a"] {
            let result = rules("", &[], &[pattern], true);
            assert!(matches!(result, Err(ScanError::Pattern { .. })), "{pattern:?}");
        }
        for pattern in ["[a]", "[]a]", "[!]]x", "\\[", "a/**/b", "\\#x"] {
            assert!(rules("", &[], &[pattern], true).is_ok(), "{pattern:?}");
        }
    }
}
