//! A run on a cluster of any size, simulated from what was measured on a small one.
//!
//! ```text
//! results of benches ─ measured ─▶ Costs ─┐
//! model.toml ────────── study ───▶ Run ───┴─ tasks ─▶ Outcome ─▶ checks, grid, sensitivity, reliefs
//! ```
//!
//! [`cost`] fits what things cost to points of different size, [`run`] and [`tasks`] play a run event by event,
//! [`resource`] finds what holds it up, [`measured`] reads the points and fits every cost of a run, and [`study`] asks the
//! questions of `model.toml`. It knows nothing of Lode's own crates: numbers come in, numbers go out, the same ones each
//! time.

pub mod cost;
pub mod measured;
pub mod resource;
pub mod run;
pub mod study;
mod tasks;
