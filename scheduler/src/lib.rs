//! The scheduler of a cluster: starts it, captures what it plans and runs, and submits jobs to it.

pub mod capture;
mod observer;
pub mod server;
pub mod submit;
