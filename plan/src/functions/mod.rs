//! The registry of functions: extractors over content as scalar functions, and over directories as table functions.
//! Registered once, by [`register`], for every process.

mod content;
mod facts;

use std::sync::Arc;

use datafusion::common::{Result, plan_err};
use datafusion::execution::SessionState;
use datafusion::logical_expr::ScalarUDF;
use lode_facts::catalog::{Dataset, datasets};
use lode_facts::lane::LaneId;

pub use content::ContentFunction;
pub use facts::{FactsExec, FactsTable, FactsTableFunction};

use crate::fingerprint::text_hash;
use crate::host::HostHandle;

/// The scalar functions: one a dataset of the lanes that read nothing but content, of its name. Those of `bytecode_*` say
/// how to get an interpreter where there is none.
pub fn scalar_functions(host: Option<&HostHandle>) -> Vec<Arc<ScalarUDF>> {
    let lanes = [LaneId::Ast, LaneId::Cst, LaneId::Symtable, LaneId::Bytecode, LaneId::Ts, LaneId::Agreement];
    datasets()
        .iter()
        .filter(|dataset| dataset.lane.is_some_and(|lane| lanes.contains(&lane)))
        .map(|dataset| Arc::new(ScalarUDF::from(ContentFunction::new(dataset, host.cloned()))))
        .collect()
}

/// Refuses a dataset that needs an interpreter where there is none.
fn check_interpreter(dataset: &Dataset, host: Option<&HostHandle>) -> Result<()> {
    if dataset.lane != Some(LaneId::Bytecode) || host.is_some_and(|h| !h.0.function_options().interpreters.is_empty()) {
        return Ok(());
    }
    plan_err!(
        "{} needs an interpreter that compiles: `lode query --python python3.13` has one, `lode extract --python python3.13` \
         fills the table; `apt-get install python3`, `pyenv install 3.13` or `uv python install 3.13` bring one",
        dataset.name
    )
}

/// Registers all functions with a session. Without a host they can be planned, not run.
///
/// # Errors
/// If a name is taken by a function that refuses to be replaced.
pub fn register(state: &mut SessionState, host: Option<&HostHandle>) -> Result<()> {
    use datafusion::execution::registry::FunctionRegistry;
    for function in scalar_functions(host) {
        state.register_udf(function)?;
    }
    state.register_udtf("files", Arc::new(FactsTableFunction::Files));
    state.register_udtf("extract", Arc::new(FactsTableFunction::Extract { host: host.cloned() }));
    Ok(())
}

/// Hash over names and signatures of all functions a session knows: part of a run's artifacts.
pub fn registry_hash(state: &SessionState) -> String {
    let scalar = state.scalar_functions().values().map(|f| format!("scalar {} {:?}", f.name(), f.signature()));
    let aggregate = state.aggregate_functions().values().map(|f| format!("aggregate {} {:?}", f.name(), f.signature()));
    let window = state.window_functions().values().map(|f| format!("window {} {:?}", f.name(), f.signature()));
    let table = state.table_functions().keys().map(|name| format!("table {name}"));
    let mut all: Vec<String> = scalar.chain(aggregate).chain(window).chain(table).collect();
    all.sort();
    all.dedup();
    text_hash(&all.join("\n"))
}
