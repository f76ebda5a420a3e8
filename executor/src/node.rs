//! An executor of Lode's plans: codecs, functions and sessions that know the host of the extraction.

use std::num::NonZeroUsize;
use std::sync::Arc;

use ballista_core::registry::BallistaFunctionRegistry;
use datafusion::prelude::SessionConfig;
use lode_plan::codec::{LogicalCodec, PhysicalCodec};
use lode_plan::functions::scalar_functions;
use lode_plan::host::HostHandle;
use lode_plan::session::configure;

use crate::cluster::ExecutorOptions;
use crate::wire::{Codecs, Wire};

/// How Lode's plans travel.
pub fn codecs() -> Codecs {
    Codecs { logical: Arc::new(LogicalCodec::default()), physical: Arc::new(PhysicalCodec::default()) }
}

/// The functions of plans, as Ballista's executors look them up.
pub fn functions(host: &HostHandle) -> BallistaFunctionRegistry {
    let mut registry = BallistaFunctionRegistry::default();
    for function in scalar_functions(Some(host)) {
        registry.scalar_functions.insert(function.name().to_owned(), function);
    }
    registry
}

/// An executor with so many tasks at a time.
pub fn executor_options(scheduler: String, wire: &Wire, tasks: usize, host: &HostHandle) -> ExecutorOptions {
    let task_config = {
        let (wire, host) = (wire.clone(), host.clone());
        Arc::new(move || wire.apply(configure(SessionConfig::new(), Some(&host))))
    };
    let runtime = Arc::new(|_: &SessionConfig| lode_lake::runtime());
    ExecutorOptions {
        wire: wire.clone(),
        vcores: tasks.try_into().unwrap_or(NonZeroUsize::MIN),
        functions: Arc::new(functions(host)),
        ..ExecutorOptions::new(scheduler, codecs(), task_config, runtime)
    }
}
