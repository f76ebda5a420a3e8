//! What commands print.

use std::io::{self, Write};

use serde::Serialize;

use super::{Exit, Failure, Outcome};

/// Prints data on stdout. A reader that has read enough is no error.
pub(super) fn print(text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new("can't write to stdout", error)),
        _ => Ok(Exit::Done),
    }
}

/// Prints data as JSON on stdout.
pub(super) fn print_json(value: &impl Serialize) -> Outcome {
    let mut text = serde_json::to_string(value).map_err(|e| Failure::new("can't write JSON", e))?;
    text.push('\n');
    print(&text)
}

/// Says something on stderr.
pub(super) fn note(text: &str) {
    // Nobody is left to be told that stderr is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Rows under a header, aligned: numbers to the right, the last column as it is.
pub(super) fn columns(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |at: usize| {
        let cells = rows.iter().map(|row| row[at].chars().count());
        cells.chain([header[at].chars().count()]).max().unwrap_or(0)
    };
    let numeric = |at: usize| {
        !rows.is_empty() && rows.iter().all(|row| row[at].chars().all(|c| c.is_ascii_digit() || ",.- ".contains(c)))
    };
    let shape: Vec<(usize, bool)> = (0..header.len()).map(|at| (width(at), numeric(at))).collect();
    let mut out = String::new();
    let head: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    for row in [&head].into_iter().chain(rows) {
        let mut line = String::new();
        for (at, (cell, (width, numeric))) in row.iter().zip(&shape).enumerate() {
            if at > 0 {
                line.push_str("  ");
            }
            line.push_str(&if *numeric { format!("{cell:>width$}") } else { format!("{cell:<width$}") });
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A time of the lake, microseconds since the Unix epoch, as UTC to the second.
pub(super) fn time(micros: i64) -> String {
    let time = arrow::temporal_conversions::timestamp_us_to_datetime(micros);
    time.map_or_else(|| micros.to_string(), |time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["a".into(), "10".into(), "x y".into()], vec!["long".into(), "9".into(), "z".into()]];
        assert_eq!(columns(&["name", "n", "text"], &rows), "name   n  text\na     10  x y\nlong   9  z\n");
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(time(1_700_000_000_123_456), "2023-11-14T22:13:20Z");
    }
}
