//! Faults on order: how the tests make a worker misbehave. Only the pool's configuration asks for them.

use serde::{Deserialize, Serialize};

/// A way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// Loops without end.
    Spin,
    /// Sleeps without end.
    Sleep,
    /// Aborts.
    Abort,
    /// Reads where nothing is.
    Segfault,
    /// Recurses without end.
    Overflow,
    /// Allocates without end.
    Allocate,
    /// Panics.
    Panic,
    /// Ends as if killed from outside.
    Killed,
    /// Ends half-way through its reply.
    HalfReply,
    /// Replies with a message that makes no sense.
    Garbage,
    /// Replies with facts that are no facts.
    WrongFacts,
}

/// What to do at which file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Path of the file.
    pub path: String,
    /// What to do.
    pub kind: FaultKind,
}

impl FaultKind {
    /// Misbehaves while a file is extracted; the faults of replies are left to who replies.
    pub(super) fn strike(self) {
        match self {
            Self::Spin => {
                let mut turns = 0u64;
                loop {
                    turns = std::hint::black_box(turns.wrapping_add(1));
                }
            }
            Self::Sleep => loop {
                std::thread::park();
            },
            Self::Abort => std::process::abort(),
            Self::Segfault => {
                // SAFETY: there is none, the fault is the purpose.
                unsafe { std::ptr::without_provenance::<u8>(8).read_volatile() };
            }
            Self::Overflow => {
                std::hint::black_box(recurse(0));
            }
            Self::Allocate => {
                let mut held = vec![];
                loop {
                    held.push(std::hint::black_box(vec![0u8; 16 << 20]));
                }
            }
            Self::Panic => panic!("asked to panic"),
            Self::Killed => {
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            }
            Self::HalfReply | Self::Garbage | Self::WrongFacts => {}
        }
    }
}

fn recurse(depth: u64) -> u64 {
    let page = std::hint::black_box([depth; 128]);
    if page[0] == u64::MAX { 0 } else { recurse(depth + 1) + page[1] }
}
