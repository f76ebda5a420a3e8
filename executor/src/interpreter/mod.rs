//! Interpreters that compile: real CPythons which turn source into code, for the `bytecode_*` lane.
//!
//! They compile and marshal and do nothing else: no site packages, no environment, nothing of the repository is
//! imported or run, no file can be written. Each belongs to one worker and dies with it. What a file makes an
//! interpreter do (hang, crash, eat memory) costs that interpreter and the lane of that file; the next file gets a new
//! one.

mod process;

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lode_facts::bytecode::{Compiled, Interpreter, Opcodes};
use lode_facts::extract::LaneStatus;
use lode_facts::options::{Limits, Options};

use process::{Answer, Budget, Death, Process};

/// An interpreter that holds on to more memory than this is replaced after its file. CPython keeps most of what a large
/// file took, for as long as it lives.
const MAX_IDLE_BYTES: u64 = 64 << 20;
/// What takes so much is no smaller than this, in bytes of source.
const LARGE_SOURCE_BYTES: usize = 128 << 10;

/// Why an interpreter can't be used.
#[derive(Debug, thiserror::Error)]
pub enum InterpreterError {
    /// It does not run.
    #[error("can't run the interpreter `{program}`: {source}")]
    Run {
        /// What was to be run.
        program: String,
        /// Why it wasn't.
        source: io::Error,
    },
    /// It is no CPython that answers.
    #[error("`{program}` is no CPython that compiles: {what}")]
    Unusable {
        /// What was run.
        program: String,
        /// What it did instead.
        what: String,
    },
    /// It writes bytecode that Lode has no table for.
    #[error("the bytecode of `{program}` (Python {version}, magic number {magic}) is not known; Python {known} are")]
    Unknown {
        /// What was run.
        program: String,
        /// Its version.
        version: String,
        /// Its magic number.
        magic: u32,
        /// Versions that are.
        known: String,
    },
}

impl InterpreterError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        HOW_TO_GET_ONE
    }
}

/// How to come by an interpreter.
pub const HOW_TO_GET_ONE: &str = "name a CPython 3.8 to 3.14 with `--python`, as in `--python python3.13`; \
     `apt-get install python3`, `pyenv install 3.13` or `uv python install 3.13` bring one";

/// Finds an interpreter and asks for its version.
///
/// # Errors
/// If it doesn't run, is no CPython, or writes bytecode that is not known.
pub fn resolve(program: &str) -> Result<Interpreter, InterpreterError> {
    let path = find(program).map_err(|source| InterpreterError::Run { program: program.into(), source })?;
    // A shim needs an environment to find what it stands for; workers have none.
    let found = greet(&path).or_else(|error| behind_shim(&path).map_or(Err(error), |path| greet(&path)));
    let interpreter = found.map_err(|what| InterpreterError::Unusable { program: program.into(), what })?;
    if interpreter.opcodes().is_none() {
        let known: Vec<&str> = Opcodes::all().iter().map(|table| table.python).collect();
        return Err(InterpreterError::Unknown {
            program: program.into(),
            version: interpreter.version,
            magic: interpreter.magic,
            known: known.join(", "),
        });
    }
    Ok(interpreter)
}

/// The absolute path of a program.
fn find(program: &str) -> io::Result<PathBuf> {
    if program.contains('/') {
        return std::path::absolute(program);
    }
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = std::env::split_paths(&search_path).map(|directory| directory.join(program));
    let found = candidates.filter(|path| path.is_file()).find_map(|path| std::path::absolute(path).ok());
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it is not on the search path"))
}

fn greet(path: &Path) -> Result<Interpreter, String> {
    let program = path.display().to_string();
    let limits = Limits::default();
    let budget = Budget { cpu: Duration::ZERO, wall: Duration::ZERO, memory_bytes: limits.memory_bytes };
    let (_, greeting) = Process::start(&program, 0, &budget).map_err(|death| death.text(&budget))?;
    Ok(Interpreter { program, version: greeting.version, magic: greeting.magic })
}

fn behind_shim(path: &Path) -> Option<PathBuf> {
    let script = "import sys; print(sys.executable)";
    let output = Command::new(path).args(["-I", "-S", "-c", script]).current_dir("/").output().ok()?;
    let found = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    (found.is_absolute() && found != path).then_some(found)
}

/// The interpreters of a worker.
#[derive(Debug)]
pub(crate) struct Compilers {
    slots: Vec<Slot>,
    budget: Budget,
    optimize: i32,
    /// Whether a file was sent and not answered for.
    asked: bool,
    /// CPU time of interpreters that are gone.
    spent: Duration,
}

#[derive(Debug)]
struct Slot {
    interpreter: Interpreter,
    process: Option<Process>,
    /// What became of the file that was asked about, where that is known already.
    known: Option<Result<Answer, Death>>,
}

impl Compilers {
    /// Of a run; none is started before it is needed. `wall` is what a file may take in all: an interpreter that hangs is
    /// found out, and each is tried once more, before the worker itself is taken for hung.
    pub(crate) fn new(options: &Options, limits: &Limits, wall: Duration) -> Self {
        let tries = 1 + options.interpreters.len() as u32;
        let slot = |interpreter: &Interpreter| Slot { interpreter: interpreter.clone(), process: None, known: None };
        let cpu = Duration::from_millis(limits.cpu_ms.max(1));
        Self {
            slots: options.interpreters.iter().map(slot).collect(),
            budget: Budget { cpu, wall: wall / 2 / tries, memory_bytes: limits.memory_bytes },
            optimize: options.optimize,
            asked: false,
            spent: Duration::ZERO,
        }
    }

    /// Sends a file to every interpreter; they compile while the caller does something else.
    pub(crate) fn ask(&mut self, path: &str, source: &[u8]) {
        self.asked = true;
        for slot in &mut self.slots {
            slot.known = slot.ask(path, source, &self.budget, self.optimize).err().map(Err);
        }
    }

    /// What became of a file. If one was sent before, it must be this one.
    pub(crate) fn answers(&mut self, path: &str, source: &[u8]) -> Vec<Compiled> {
        if !std::mem::take(&mut self.asked) {
            self.ask(path, source);
            self.asked = false;
        }
        let mut answers = Vec::with_capacity(self.slots.len());
        for slot in &mut self.slots {
            let was_fresh = slot.process.as_ref().is_some_and(|process| process.fresh);
            let mut ended = slot.answer(&self.budget, &mut self.spent);
            // An interpreter that worked for other files before may have died of them, or of the machine's load.
            if ended.as_ref().is_err_and(|death| death.depends_on_company() && !was_fresh) {
                ended = match slot.ask(path, source, &self.budget, self.optimize) {
                    Ok(()) => slot.answer(&self.budget, &mut self.spent),
                    Err(death) => Err(death),
                };
            }
            if source.len() >= LARGE_SOURCE_BYTES {
                slot.shed(&mut self.spent);
            }
            answers.push(match ended {
                Ok(Answer::Code(code)) => Compiled::Code(code),
                Ok(Answer::Refused(refusal)) => Compiled::Refused(refusal),
                Err(death) => Compiled::Broken(death.status(&slot.interpreter, &self.budget)),
            });
        }
        answers
    }

    /// CPU time of all interpreters so far.
    pub(crate) fn cpu(&self) -> Duration {
        self.slots.iter().filter_map(|slot| slot.process.as_ref()).fold(self.spent, |sum, p| sum + p.cpu())
    }
}

impl Slot {
    fn ask(&mut self, path: &str, source: &[u8], budget: &Budget, optimize: i32) -> Result<(), Death> {
        if self.process.is_none() {
            let (process, greeting) = Process::start(&self.interpreter.program, optimize, budget)?;
            if (&greeting.version, greeting.magic) != (&self.interpreter.version, self.interpreter.magic) {
                return Err(Death::Other(greeting.version));
            }
            self.process = Some(process);
        }
        let process = self.process.as_mut().expect("it was started above");
        process.ask(path, source, budget).map_err(|end| process.bury(end))
    }

    fn answer(&mut self, budget: &Budget, spent: &mut Duration) -> Result<Answer, Death> {
        let ended = match (self.known.take(), &mut self.process) {
            (Some(known), _) => known,
            (None, Some(process)) => process.answer(budget).map_err(|end| process.bury(end)),
            (None, None) => Err(Death::Crash("it was not asked".into())),
        };
        if ended.is_err() {
            self.retire(spent);
        }
        ended
    }

    /// Ends the process if it holds on to much memory.
    fn shed(&mut self, spent: &mut Duration) {
        if self.process.as_ref().is_some_and(|process| process.resident_bytes() > MAX_IDLE_BYTES) {
            self.retire(spent);
        }
    }

    fn retire(&mut self, spent: &mut Duration) {
        if let Some(process) = self.process.take() {
            *spent += process.cpu();
        }
    }
}

impl Death {
    /// What it means for the lane of the file.
    fn status(&self, interpreter: &Interpreter, budget: &Budget) -> LaneStatus {
        let message = format!("Python {}: {}", interpreter.version, self.text(budget));
        match self.limit() {
            Some(limit) => LaneStatus::Quarantined { limit: limit.into(), message },
            None => LaneStatus::Failed { reason: "interpreter".into(), message },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_interpreter_is_refused_with_a_way_out() {
        let error = resolve("/nowhere/python3").unwrap_err();
        assert!(error.to_string().contains("/nowhere/python3"), "{error}");
        let error = resolve("no-such-python-at-all").unwrap_err();
        assert!(error.to_string().contains("search path"), "{error}");
        let error = resolve("/bin/true").unwrap_err();
        assert!(error.to_string().contains("no CPython"), "{error}");
        assert!(error.hint().contains("--python"));
    }
}
