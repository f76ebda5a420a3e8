//! What must hold for any input. The modules are also included by the tests, which run them briefly.

pub mod bytecode;
#[cfg(feature = "plan")]
pub mod codecs;
pub mod facts;
