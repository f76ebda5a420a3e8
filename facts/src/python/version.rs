//! The versions of Python whose grammar, positions and limits facts can follow.

use std::fmt;
use std::str::FromStr;

use ruff_python_ast::PythonVersion;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A version of Python, written `3.13`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Version {
    /// Python 3.8.
    Py38,
    /// Python 3.9.
    Py39,
    /// Python 3.10.
    Py310,
    /// Python 3.11.
    Py311,
    /// Python 3.12.
    Py312,
    /// Python 3.13.
    #[default]
    Py313,
    /// Python 3.14.
    Py314,
}

/// A text that names no supported version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no supported version of Python: give one from 3.8 to 3.14")]
pub struct UnknownVersion(String);

impl Version {
    /// Every supported version, oldest first.
    pub const ALL: [Self; 7] =
        [Self::Py38, Self::Py39, Self::Py310, Self::Py311, Self::Py312, Self::Py313, Self::Py314];

    /// The number behind `3.`.
    pub const fn minor(self) -> u8 {
        self as u8 + 8
    }

    /// The parser's name of this version.
    pub(super) fn target(self) -> PythonVersion {
        PythonVersion { major: 3, minor: self.minor() }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "3.{}", self.minor())
    }
}

impl FromStr for Version {
    type Err = UnknownVersion;

    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        let known = Self::ALL.into_iter().find(|version| version.to_string() == text);
        known.ok_or_else(|| UnknownVersion(text.to_owned()))
    }
}

impl TryFrom<String> for Version {
    type Error = UnknownVersion;

    fn try_from(text: String) -> Result<Self, UnknownVersion> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_written_as_people_write_them() {
        for version in Version::ALL {
            assert_eq!(version.to_string().parse(), Ok(version));
            let json = serde_json::to_string(&version).unwrap();
            assert_eq!(json, format!("\"{version}\""));
            assert_eq!(serde_json::from_str::<Version>(&json).unwrap(), version);
        }
        assert!(Version::Py39 < Version::Py310);
        for unknown in ["3.7", "3.15", "3", "3.013", "313", " 3.13", ""] {
            assert!(unknown.parse::<Version>().is_err(), "{unknown}");
        }
    }
}
