//! The status page: what a worker is doing, readable after its death.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// What a worker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Waiting for a group, or opening it.
    Idle,
    /// Extracting the file at this position of its order.
    File(u32),
    /// Putting the group's facts together.
    Finish,
}

/// Why a worker ended itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// It didn't.
    None,
    /// The timer of CPU time.
    Cpu,
    /// A panic.
    Panic,
}

#[repr(C)]
struct Layout {
    /// A count of steps in the upper half, so that a new step is seen as new; the step in the lower half.
    step: AtomicU64,
    cause: AtomicU32,
}

const IDLE: u32 = u32::MAX;
const FINISH: u32 = u32::MAX - 1;

/// A page shared by a worker and its supervisor.
pub(super) struct StatusPage {
    map: MmapRaw,
}

impl StatusPage {
    /// A new page, and the descriptor that the worker maps it from.
    pub(super) fn create() -> io::Result<(Self, OwnedFd)> {
        let file = File::from(memfd_create("lode-status", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
        file.set_len(size_of::<Layout>() as u64)?;
        // With its size sealed nobody can make the other one fault.
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let page = Self::open(&file)?;
        page.begin(Step::Idle);
        Ok((page, file.into()))
    }

    /// Maps a page.
    pub(super) fn open(file: &impl AsFd) -> io::Result<Self> {
        let file = File::from(file.as_fd().try_clone_to_owned()?);
        if file.metadata()?.len() != size_of::<Layout>() as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a status page"));
        }
        Ok(Self { map: MmapOptions::new().len(size_of::<Layout>()).map_raw(&file)? })
    }

    fn layout(&self) -> &Layout {
        // SAFETY: the mapping is as long as the layout, aligned to a page, and only accessed through atomics.
        unsafe { &*self.map.as_ptr().cast::<Layout>() }
    }

    /// Publishes the next step.
    pub(super) fn begin(&self, step: Step) {
        let code = match step {
            Step::Idle => IDLE,
            Step::Finish => FINISH,
            Step::File(index) => index,
        };
        let count = (self.layout().step.load(Ordering::Relaxed) >> 32) + 1;
        self.layout().step.store(count << 32 | u64::from(code), Ordering::Release);
    }

    /// The step at work, and a number that changes with every step.
    pub(super) fn step(&self) -> (Step, u64) {
        let stamp = self.layout().step.load(Ordering::Acquire);
        let step = match stamp as u32 {
            IDLE => Step::Idle,
            FINISH => Step::Finish,
            index => Step::File(index),
        };
        (step, stamp)
    }

    /// Records why the worker ends itself; safe in a signal handler.
    pub(super) fn blame(&self, cause: Cause) {
        self.layout().cause.store(cause as u32, Ordering::Release);
    }

    /// Why the worker ended itself.
    pub(super) fn cause(&self) -> Cause {
        match self.layout().cause.load(Ordering::Acquire) {
            1 => Cause::Cpu,
            2 => Cause::Panic,
            _ => Cause::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_causes_cross_the_page() {
        let (ours, fd) = StatusPage::create().unwrap();
        let theirs = StatusPage::open(&fd).unwrap();
        let (step, first) = ours.step();
        assert_eq!(step, Step::Idle);
        for step in [Step::File(7), Step::File(7), Step::Finish] {
            let (_, before) = ours.step();
            theirs.begin(step);
            assert_eq!(ours.step().0, step);
            assert_ne!(ours.step().1, before);
        }
        assert_ne!(ours.step().1, first);
        assert_eq!(ours.cause(), Cause::None);
        theirs.blame(Cause::Panic);
        assert_eq!(ours.cause(), Cause::Panic);
    }
}
