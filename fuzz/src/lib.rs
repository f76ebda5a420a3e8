//! What must hold for any input. The modules are also included by the tests, which run them briefly.

pub mod bytecode;
pub mod codecs;
pub mod facts;
