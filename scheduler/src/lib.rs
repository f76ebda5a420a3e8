//! The scheduler of a cluster: starts it, captures what it plans and runs, and submits jobs to it.

pub mod api;
pub mod capture;
pub mod client;
pub mod daemon;
mod fair;
pub mod gate;
pub mod job;
pub mod journal;
mod losses;
mod observer;
pub mod outcome;
pub mod records;
mod rest;
pub mod server;
mod slim;
mod slots;
pub mod submit;
mod tally;
mod trace;
