//! The worker's side: groups in, facts out, until the pool hangs up.

use std::io::{self, Write};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use arrow::ipc::writer::StreamEncoder;
use lode_encode::{LEAST_GROUP_ROWS, RowsEncoder};
use lode_facts::extract::{Extractor, FileReport, FileRequest, GroupOutput};
use lode_facts::lane::LaneId;
use lode_facts::options::{Limits, Options};
use serde::{Deserialize, Serialize};

use super::channel::{self, MAX_MESSAGE};
use super::fault::{Fault, FaultKind};
use super::guard::{self, Usage};
use super::parcel::{Draft, Label, Parcel};
use super::status::{StatusPage, Step};
use crate::interpreter::Compilers;

/// First argument of a program that is to become a worker.
pub const ARGUMENT: &str = "__worker";

/// Stack of the thread that extracts. Pages that are never touched cost nothing, and nesting that a parser can digest
/// should not fail for want of them.
pub(super) const STACK_BYTES: usize = 256 << 20;

/// What a worker says when it is ready.
pub(super) const READY: &[u8] = concat!("ready ", env!("CARGO_PKG_VERSION")).as_bytes();

/// Exit code of a worker that could not go on.
const BROKEN: i32 = 4;

/// The first message to a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) options: Options,
    pub(super) limits: Limits,
    /// Wall time a file may take.
    pub(super) wall: Duration,
    pub(super) faults: Vec<Fault>,
}

/// One file of an order: the head of an order is a list of them, its body the contents.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OrderItem<R> {
    pub(super) request: R,
    pub(super) content: Option<Range<u64>>,
}

/// The head of a reply; its body holds the tables.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reply {
    pub(super) files: Vec<FileReport>,
    pub(super) tables: Vec<ReplyTable>,
    pub(super) slowest: Option<(usize, Duration)>,
    /// CPU time of the worker and its interpreters since it started.
    pub(super) cpu: Duration,
    pub(super) resident: u64,
    pub(super) peak_rss: u64,
}

/// Where a table lies in a reply.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ReplyTable {
    pub(super) dataset: String,
    pub(super) form: Form,
    pub(super) bytes: Range<u64>,
}

/// How a table lies in a reply.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Form {
    /// As an Arrow stream of one batch.
    Columns,
    /// As row groups, in the form they have in the lake.
    Encoded,
}

/// Turns this process into a worker, for good. To be called first of all by a program whose first argument is
/// [`ARGUMENT`]: nothing may have been opened or started yet.
pub fn worker_main() -> ! {
    let code = match enter() {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(io::stderr(), "worker: {error}");
            BROKEN
        }
    };
    std::process::exit(code)
}

fn enter() -> io::Result<()> {
    let status = guard::enter()?;
    let thread = std::thread::Builder::new().name("extract".into()).stack_size(STACK_BYTES);
    thread.spawn(move || serve(status))?.join().unwrap_or_else(|_| Err(io::Error::other("the worker panicked")))
}

fn serve(status: &StatusPage) -> io::Result<()> {
    // SAFETY: a worker is started with its end of the channel as standard input, and nobody closes that.
    let socket = unsafe { BorrowedFd::borrow_raw(libc::STDIN_FILENO) };
    let mut buffer = vec![0; MAX_MESSAGE];
    let Some((length, _)) = channel::receive(socket, &mut buffer)? else { return Ok(()) };
    let Setup { options, limits, wall, faults } = serde_json::from_slice(&buffer[..length])?;
    let extractor = Extractor::new(&options, &limits);
    guard::confine(&limits)?;
    channel::send(socket, READY, None)?;
    let cpu_limit = Duration::from_millis(limits.cpu_ms.max(1));
    let compilers = Compilers::new(&options, &limits, wall);
    let encoder = RowsEncoder::new().map_err(io::Error::other)?;
    let mut worker = Worker { status, extractor, encoder, compilers, cpu_limit, faults };
    while let Some((length, fd)) = channel::receive(socket, &mut buffer)? {
        let fd = fd.ok_or_else(|| io::Error::other("an order without a parcel"))?;
        // SAFETY: the pool leaves an order alone until it is answered, and the order is dropped before.
        let order = unsafe { Parcel::borrow(fd, &buffer[..length])? };
        let (parcel, label) = worker.group(&order)?;
        drop(order);
        channel::send(socket, &label, Some(parcel.as_fd()))?;
        status.begin(Step::Idle);
    }
    Ok(())
}

struct Worker<'a> {
    status: &'a StatusPage,
    extractor: Extractor,
    encoder: RowsEncoder,
    compilers: Compilers,
    cpu_limit: Duration,
    faults: Vec<Fault>,
}

impl Worker<'_> {
    fn group(&mut self, order: &Parcel) -> io::Result<(OwnedFd, Label)> {
        let items: Vec<OrderItem<FileRequest>> = serde_json::from_slice(order.head())?;
        let mut slowest: Option<(usize, Duration)> = None;
        let mut late_fault = None;
        let content = |item: &OrderItem<FileRequest>| {
            let part = item.content.as_ref().map(|range| order.part(range));
            part.map(|part| part.ok_or_else(|| io::Error::other("content lies outside of its order"))).transpose()
        };
        let contents = items.iter().map(content).collect::<io::Result<Vec<_>>>()?;
        // Interpreters compile the next file while this process extracts the one before.
        let reads_code = |lane| matches!(lane, LaneId::Bytecode | LaneId::Agreement);
        let wants_code = |item: &OrderItem<FileRequest>| item.request.lanes.iter().any(|l| reads_code(l.lane));
        let sources = items.iter().zip(&contents).enumerate().filter(|(_, (item, _))| wants_code(item));
        let sources = sources
            .filter_map(|(index, (item, content))| Some((index, item.request.meta.path.as_str(), content.as_deref()?)));
        let mut sources = sources.peekable();
        for (index, item) in items.iter().enumerate() {
            let content = contents[index].as_deref();
            let start = Instant::now();
            self.status.begin(Step::File(index as u32));
            guard::arm_cpu_timer(self.cpu_limit);
            if let Some(fault) = self.faults.iter().find(|f| f.path == item.request.meta.path) {
                fault.kind.strike();
                late_fault = Some(fault.kind);
            }
            let compiled = match sources.next_if(|(at, ..)| *at == index) {
                Some((_, path, source)) => {
                    let answers = self.compilers.answers(path, source);
                    if let Some((_, path, source)) = sources.peek() {
                        self.compilers.ask(path, source);
                    }
                    answers
                }
                None => vec![],
            };
            self.extractor.extract_compiled(&item.request, content, &compiled);
            let elapsed = start.elapsed();
            if slowest.is_none_or(|(_, most)| elapsed > most) {
                slowest = Some((index, elapsed));
            }
        }
        guard::arm_cpu_timer(Duration::ZERO);
        self.status.begin(Step::Finish);
        let output = self.extractor.finish().map_err(io::Error::other)?;
        self.reply(output, slowest, late_fault)
    }

    fn reply(
        &mut self,
        output: GroupOutput,
        slowest: Option<(usize, Duration)>,
        fault: Option<FaultKind>,
    ) -> io::Result<(OwnedFd, Label)> {
        let mut draft = Draft::new()?;
        let mut tables = vec![];
        for (dataset, batch) in output.tables {
            let (form, bytes) = if batch.num_rows() < LEAST_GROUP_ROWS {
                let mut encoder = StreamEncoder::try_new(&batch.schema()).map_err(io::Error::other)?;
                let mut buffers = encoder.encode(&batch).map_err(io::Error::other)?;
                buffers.extend(encoder.finish().map_err(io::Error::other)?);
                (Form::Columns, draft.buffers(&buffers)?)
            } else {
                // Much smaller than the columns, and half of what is left to do with them.
                let encoded = self.encoder.encode(&batch, &dataset.facts_schema()).map_err(io::Error::other)?;
                (Form::Encoded, draft.bytes(&encoded)?)
            };
            tables.push(ReplyTable { dataset: dataset.name.into(), form, bytes });
        }
        match fault {
            Some(FaultKind::HalfReply) => std::process::exit(0),
            Some(FaultKind::WrongFacts) => tables.iter_mut().for_each(|table| table.bytes.start += 64),
            _ => {}
        }
        let Usage { resident, peak, cpu, .. } = Usage::of_this_process()?;
        let cpu = cpu + self.compilers.cpu();
        let reply = Reply { files: output.files, tables, slowest, cpu, resident, peak_rss: peak };
        let (parcel, mut label) = draft.seal(&serde_json::to_vec(&reply)?)?;
        if fault == Some(FaultKind::Garbage) {
            label.fill(0xff);
        }
        Ok((parcel, label))
    }
}
