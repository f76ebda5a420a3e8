//! Values of options.

use std::str::FromStr;

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use lode_lake::snapshot::Pin;

use crate::run::Source;

/// A number of bytes: `4096`, `64k`, `2M`, `1G`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let number = lower.trim_end_matches("ib").trim_end_matches('b');
        let (digits, shift) = match number.char_indices().last() {
            Some((at, 'k')) => (&number[..at], 10),
            Some((at, 'm')) => (&number[..at], 20),
            Some((at, 'g')) => (&number[..at], 30),
            _ => (number, 0),
        };
        let bytes = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(1 << shift)).filter(|n| *n > 0);
        bytes.map(Self).ok_or_else(|| "give a number of bytes, such as 65536, 64k, 16M or 1G".into())
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "shared" => Ok(Self::Shared),
            None if text == "staged" => Ok(Self::Staged),
            None if text == "git" => Ok(Self::Git { repository: None }),
            Some(("git", path)) if !path.is_empty() => Ok(Self::Git { repository: Some(path.into()) }),
            _ => Err("give `shared`, `staged`, `git`, or `git=` and where executors find the repository".into()),
        }
    }
}

/// Files that make a committed run count as failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailOn {
    /// So many files that could not be read.
    Failed(u64),
    /// So many files that broke a limit.
    Quarantined(u64),
}

impl FromStr for FailOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (state, number) = text.split_once('=').unwrap_or((text, "1"));
        let number = number.parse().ok().filter(|n| *n > 0);
        match (state, number) {
            ("failed", Some(number)) => Ok(Self::Failed(number)),
            ("quarantined", Some(number)) => Ok(Self::Quarantined(number)),
            _ => Err(
                "give `failed` or `quarantined`, and a number of files from 1 if one is not too many: quarantined=5"
                    .into(),
            ),
        }
    }
}

/// A state of the lake: a commit number or a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AsOf(pub(super) Pin);

impl FromStr for AsOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(sequence) = text.parse() {
            return Ok(Self(Pin::Sequence(sequence)));
        }
        let time = string_to_timestamp_nanos(text).map(|nanos| Self(Pin::Time(nanos.div_euclid(1_000))));
        time.map_err(|_| {
            "give a commit number, or a time such as 2026-01-31, or 2026-01-31T12:00:00Z (UTC if not said)".into()
        })
    }
}

/// A duration: `90s`, `15m`, `24h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub(super) std::time::Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = match text.char_indices().last() {
            Some((at, 's')) => Some((at, 1)),
            Some((at, 'm')) => Some((at, 60)),
            Some((at, 'h')) => Some((at, 3_600)),
            Some((at, 'd')) => Some((at, 86_400)),
            _ => None,
        };
        let span = seconds.and_then(|(at, unit)| text[..at].parse::<u64>().ok()?.checked_mul(unit));
        span.map(|s| Self(std::time::Duration::from_secs(s)))
            .ok_or_else(|| "give a number and a unit: 90s, 15m, 24h or 7d".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        let bytes = |text: &str| text.parse::<Bytes>().map(|b| b.0).ok();
        assert_eq!(
            ["1", "64k", "16M", "2GiB", "3mb"].map(bytes),
            [Some(1), Some(65_536), Some(16 << 20), Some(2 << 30), Some(3 << 20)]
        );
        assert_eq!(["", "0", "k", "-1", "1.5M", "99999999999G"].map(bytes), [None; 6]);
    }

    #[test]
    fn thresholds() {
        assert_eq!("failed".parse(), Ok(FailOn::Failed(1)));
        assert_eq!("quarantined=5".parse(), Ok(FailOn::Quarantined(5)));
        for wrong in ["", "failed=0", "broken", "failed=x"] {
            assert!(wrong.parse::<FailOn>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn states_are_numbers_or_times() {
        let pin = |text: &str| text.parse::<AsOf>().map(|pin| pin.0).ok();
        assert_eq!(pin("12"), Some(Pin::Sequence(12)));
        assert_eq!(pin("1970-01-01T00:00:01Z"), Some(Pin::Time(1_000_000)));
        assert_eq!(pin("1970-01-01T01:00:00+01:00"), Some(Pin::Time(0)));
        assert_eq!(pin("yesterday"), None);
    }

    #[test]
    fn spans_have_units() {
        let seconds = |text: &str| text.parse::<Span>().map(|s| s.0.as_secs()).ok();
        assert_eq!(
            ["90s", "15m", "24h", "7d", "0s"].map(seconds),
            [Some(90), Some(900), Some(86_400), Some(604_800), Some(0)]
        );
        assert_eq!(["", "5", "h", "-1s"].map(seconds), [None; 4]);
    }
}
