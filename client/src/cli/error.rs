//! Exit codes, and errors as people see them.

use std::error::Error;
use std::fmt;
use std::io::IsTerminal;

use lode_executor::process;
use lode_lake::LakeError;
use miette::{Diagnostic, ReportHandler};

use crate::query::QueryError;
use crate::report::RunError;

/// What the process tells its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; for `extract` and `resume`: the run is committed.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Wrong usage.
    Usage = 2,
    /// `verify` found differences.
    Differences = 3,
    /// More files failed than `--fail-on` allows.
    FailOn = 4,
    /// Interrupted.
    Interrupted = 130,
}

impl Exit {
    /// Ends the process.
    pub(super) fn leave(self) -> ! {
        process::leave(self as u8)
    }
}

/// An error that ends a command.
#[derive(Debug)]
pub struct Failure {
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    hint: Option<String>,
    exit: Exit,
}

impl Failure {
    /// Something failed because of something else.
    pub fn new(message: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { message: message.into(), source: Some(source.into()), hint: None, exit: Exit::Failed }
    }

    /// The command was used wrongly.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None, hint: None, exit: Exit::Usage }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What to do about it.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    pub(super) fn of(error: impl Error + Send + Sync + 'static, hint: Option<String>) -> Self {
        // The error itself is the message; its causes follow.
        Self { message: String::new(), source: Some(Box::new(error)), hint, exit: Exit::Failed }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.source, self.message.is_empty()) {
            (Some(source), true) => source.fmt(f),
            _ => f.write_str(&self.message),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.source.as_deref().map(|source| source as &(dyn Error + 'static));
        if self.message.is_empty() { source.and_then(Error::source) } else { source }
    }
}

impl Diagnostic for Failure {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }
}

impl From<LakeError> for Failure {
    fn from(error: LakeError) -> Self {
        let hint = error.hint().map(|hint| hint.to_string());
        Self::of(error, hint)
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let hint = error.hint();
        Self::of(error, hint)
    }
}

impl From<datafusion::common::DataFusionError> for Failure {
    fn from(error: datafusion::common::DataFusionError) -> Self {
        QueryError::from(error).into()
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let hint = error.summary.hint.clone();
        Self { message: String::new(), source: Some(error.source), hint, exit: Exit::Failed }
    }
}

/// Makes errors print as `error: …`, their causes, and `hint: …`.
pub fn install() {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // Only the first hook counts, and any other is the host's own.
    let _ = miette::set_hook(Box::new(move |_| Box::new(Handler { colour })));
}

#[derive(Debug)]
struct Handler {
    colour: bool,
}

impl ReportHandler for Handler {
    fn debug(&self, error: &dyn Diagnostic, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = |text: &str, code: &str| {
            if self.colour { format!("\x1b[1;{code}m{text}\x1b[0m") } else { text.to_owned() }
        };
        for (n, message) in lode_lake::error::messages(error).iter().enumerate() {
            match n {
                0 => write!(f, "{} {message}", label("error:", "31"))?,
                _ => write!(f, "\n  {} {}", label("cause:", "33"), message.trim_end().replace('\n', "\n    "))?,
            }
        }
        if let Some(hint) = error.help() {
            write!(f, "\n{} {hint}", label("hint:", "36"))?;
        }
        Ok(())
    }
}
