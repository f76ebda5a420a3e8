//! `--python`.

use lode_executor::interpreter;
use lode_facts::bytecode::Interpreter;

use super::Failure;

/// The interpreters of these names, oldest first, each version once.
pub(super) fn resolve(programs: &[String]) -> Result<Vec<Interpreter>, Failure> {
    let mut found: Vec<Interpreter> = vec![];
    for program in programs {
        let interpreter =
            interpreter::resolve(program).map_err(|error| Failure::usage(error.to_string()).hint(error.hint()))?;
        if let Some(same) = found.iter().find(|known| known.version == interpreter.version) {
            return Err(Failure::usage(format!("`{}` and `{program}` are both Python {}", same.program, same.version)));
        }
        found.push(interpreter);
    }
    found.sort_by(|a, b| (a.magic, &a.version).cmp(&(b.magic, &b.version)));
    Ok(found)
}
