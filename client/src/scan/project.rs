//! What a repository says of the Python it is written for.
//!
//! Read are `[project] requires-python` of `pyproject.toml` and, if that says nothing, `[options] python_requires` of
//! `setup.cfg`, both of the scanned directory itself: a run reads all its files as one version, so that what lies deeper
//! in a repository of many projects can't decide for the others. `setup.py` would have to be executed, and is not read.

use std::str::FromStr;

use lode_facts::python::Version;
use pep440_rs::{Version as Release, VersionSpecifiers};

use super::content::ReadError;

/// Files that are larger are not what they should be.
pub(super) const MAX_PROJECT_BYTES: u64 = 1 << 20;

/// The files that are read, the one that decides first.
pub(super) const PROJECT_FILES: [&str; 2] = ["pyproject.toml", "setup.cfg"];

/// The versions of Python that a project says it runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiresPython {
    /// The file that says so.
    pub file: &'static str,
    /// Its words.
    pub specifiers: String,
    parsed: VersionSpecifiers,
}

impl RequiresPython {
    /// Reads the files of a project. What is wrong with them is a warning, as is nothing else.
    pub(super) fn read(
        mut read: impl FnMut(&str) -> Option<Result<Vec<u8>, ReadError>>,
        warnings: &mut Vec<String>,
    ) -> Option<Self> {
        for file in PROJECT_FILES {
            let Some(bytes) = read(file) else { continue };
            let said = bytes.map_err(|error| error.to_string()).and_then(|bytes| said(file, bytes));
            match said {
                Ok(None) => {}
                Ok(Some(required)) => return Some(required),
                Err(reason) => {
                    warnings.push(format!("{file} doesn't tell which Python the project requires: {reason}"));
                    return None;
                }
            }
        }
        None
    }

    /// The version to read the project's files as: the newest that it admits up to the default, else the oldest; none if
    /// it admits none.
    ///
    /// A range names the interpreters that must load every file. Read as the newest of them, a file that only newer ones
    /// are to load (it is imported behind a test of the version) still has its facts; the default bounds it, so that a
    /// range without an end does not mean another version with each release of Lode.
    pub fn version(&self) -> Option<Version> {
        let minor_is_admitted = |version: &Version| {
            let releases = (0..100).map(|patch| Release::new([3, u64::from(version.minor()), patch]));
            releases.into_iter().any(|release| self.parsed.contains(&release))
        };
        let mut admitted = Version::ALL.into_iter().filter(minor_is_admitted).peekable();
        let oldest = admitted.peek().copied();
        admitted.take_while(|version| *version <= Version::default()).last().or(oldest)
    }
}

fn said(file: &'static str, bytes: Vec<u8>) -> Result<Option<RequiresPython>, String> {
    if bytes.len() as u64 > MAX_PROJECT_BYTES {
        return Err(format!("it is larger than {MAX_PROJECT_BYTES} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    let specifiers = if file == "setup.cfg" { of_setup_cfg(&text) } else { of_pyproject(&text)? };
    let Some(specifiers) = specifiers else { return Ok(None) };
    let parsed = VersionSpecifiers::from_str(&specifiers).map_err(|error| {
        let reason = error.to_string();
        format!("{specifiers:?} are no specifiers: {}", reason.lines().next().unwrap_or_default())
    })?;
    Ok(Some(RequiresPython { file, specifiers, parsed }))
}

fn of_pyproject(text: &str) -> Result<Option<String>, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
    match table.get("project").and_then(|project| project.get("requires-python")) {
        None => Ok(None),
        Some(toml::Value::String(specifiers)) => Ok(Some(specifiers.trim().to_owned())),
        Some(other) => Err(format!("requires-python is a {}, not a string", other.type_str())),
    }
}

/// `[options] python_requires`, by the rules of Python's `configparser`; names may be written with `-`.
fn of_setup_cfg(text: &str) -> Option<String> {
    let mut in_options = false;
    let mut value: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(value) = &mut value {
            // Lines that are indented go on with the value.
            if trimmed.is_empty() || line.starts_with(char::is_whitespace) {
                value.push(' ');
                value.push_str(trimmed);
                continue;
            }
            break;
        }
        if let Some(section) = trimmed.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            in_options = section.0 == "options";
        } else if in_options
            && !line.starts_with(char::is_whitespace)
            && let Some((key, rest)) = trimmed.split_once(['=', ':'])
            && key.trim().to_ascii_lowercase().replace('-', "_") == "python_requires"
        {
            value = Some(rest.trim().to_owned());
        }
    }
    value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> (Option<RequiresPython>, Vec<String>) {
        let mut warnings = vec![];
        let content = |name: &str| {
            let found = files.iter().find(|(file, _)| *file == name);
            found.map(|(_, text)| Ok(text.as_bytes().to_vec()))
        };
        (RequiresPython::read(content, &mut warnings), warnings)
    }

    /// The version for what a `pyproject.toml` says.
    fn version(specifiers: &str) -> Option<String> {
        let (found, warnings) = read(&[("pyproject.toml", &format!("[project]\nrequires-python = '{specifiers}'"))]);
        assert_eq!(warnings, [""; 0], "{specifiers}");
        found.unwrap_or_else(|| panic!("{specifiers} says something")).version().map(|version| version.to_string())
    }

    #[test]
    fn the_newest_admitted_version_up_to_the_default_is_taken() {
        for (specifiers, expected) in [
            (">=3.9", "3.13"),
            (">=3.6", "3.13"),
            (">=3.8,<3.12", "3.11"),
            (">= 3.8 , < 3.12", "3.11"),
            ("~=3.9", "3.13"),
            ("~=3.9.2", "3.9"),
            ("==3.10.*", "3.10"),
            ("==3.10.4", "3.10"),
            (">=3.8.1,<=3.9", "3.9"),
            (">=3.9,!=3.13.*,!=3.12.*", "3.11"),
            (">=3.9,!=3.13.0", "3.13"),
            ("<3.8.2", "3.8"),
            (">=3.14", "3.14"),
            (">=2.7,!=3.0.*,!=3.1.*,!=3.2.*", "3.13"),
            ("<4", "3.13"),
        ] {
            assert_eq!(version(specifiers).as_deref(), Some(expected), "{specifiers}");
        }
        for none in ["<3", "==2.7.*", ">=3.15", "==3.7.*", ">=4"] {
            assert_eq!(version(none), None, "{none}");
        }
    }

    #[test]
    fn pyproject_speaks_before_setup_cfg() {
        let setup = (
            "setup.cfg",
            "[metadata]\nname = x\n[options]\nzip_safe = no\npython_requires =\n  >=3.8\n  ,<3.10\n\n[x]",
        );
        let of = |files: &[(&str, &str)]| {
            let (found, warnings) = read(files);
            assert_eq!(warnings, [""; 0]);
            found.map(|found| (found.file, found.specifiers.clone(), found.version().map(|v| v.to_string())))
        };
        let expected =
            |file, specifiers: &str, version: &str| Some((file, specifiers.to_owned(), Some(version.into())));
        assert_eq!(of(&[setup]).map(|found| (found.0, found.2)), Some(("setup.cfg", Some("3.9".into()))));
        let project = ("pyproject.toml", "[project]\nname = 'x'\nrequires-python = '<3.13'");
        assert_eq!(of(&[setup, project]), expected("pyproject.toml", "<3.13", "3.12"));
        let silent =
            ("pyproject.toml", "[build-system]\nrequires = ['setuptools']\n[project]\ndynamic = ['requires-python']");
        assert_eq!(of(&[silent, setup]).map(|found| found.0), Some("setup.cfg"));
        assert_eq!(of(&[silent]), None);
        for other in [
            "[options.extras_require]\npython_requires = >=3.8",
            "python_requires = >=3.8",
            "[options]\n# python_requires = >=3.8",
            "[options]\ninstall_requires =\n  python_requires = 3",
            "[options]\npython_requires =",
        ] {
            assert_eq!(of(&[("setup.cfg", other)]), None, "{other}");
        }
        let dashed = ("setup.cfg", "[options]\r\npython-requires: ==3.9.*\r\n");
        assert_eq!(of(&[dashed]), expected("setup.cfg", "==3.9.*", "3.9"));
    }

    #[test]
    fn what_is_wrong_is_said_and_decides_nothing() {
        let setup = ("setup.cfg", "[options]\npython_requires = ==3.9.*");
        for (text, words) in [
            ("[project", "pyproject.toml"),
            ("[project]\nrequires-python = 3.9", "not a string"),
            ("[project]\nrequires-python = '^3.9'", "\"^3.9\""),
            ("[project]\nrequires-python = 'new'", "no specifiers"),
        ] {
            let (found, warnings) = read(&[("pyproject.toml", text), setup]);
            assert_eq!(found, None, "{text}");
            assert!(matches!(&warnings[..], [one] if one.contains(words)), "{text}: {warnings:?}");
        }
        let mut warnings = vec![];
        let large = |_: &str| Some(Ok(vec![b' '; MAX_PROJECT_BYTES as usize + 1]));
        assert_eq!(RequiresPython::read(large, &mut warnings), None);
        let lost = |_: &str| Some(Err(ReadError::Vanished));
        assert_eq!(RequiresPython::read(lost, &mut warnings), None);
        assert!(warnings[0].contains("larger than") && warnings[1].contains("vanished"), "{warnings:?}");
    }
}
