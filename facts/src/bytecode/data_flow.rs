//! Which instruction may use a value that another one made: reaching definitions over the stack and the local variables.
//!
//! Each block is run once on symbols: what lies on the stack or in a variable where the block starts is a symbol of its
//! own, what its instructions make are definitions. Afterwards the symbols that are used are resolved over the edges.

use std::collections::HashMap;

use super::control_flow::{ControlFlow, EdgeKind};
use super::exceptions::ExceptionEntry;
use super::instructions::Instruction;
use super::opcodes::{Flow, LocalAccess, Move, StackEffect};

/// Most definitions that are followed over the edges of one code object. Real code stays far below; beyond, there are no
/// edges for it.
pub const MAX_DEFINITIONS: usize = 4 << 20;

/// Deepest stack that is followed; CPython's compiler needs a few dozen.
const MAX_STACK: usize = 1 << 16;

/// Where a value is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// On the stack, so many values from its bottom.
    Stack(u32),
    /// In the local variable of that number.
    Local(u32),
}

/// A use of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// The instruction that uses the value.
    pub user: u32,
    /// The local variable; `None` for the stack.
    pub local: Option<u32>,
    /// The instruction that made it.
    pub maker: u32,
}

/// What is known of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// No instruction made it.
    Unmade,
    /// The instruction that made it.
    Made(u32),
    /// The symbol of the start of a block.
    Symbol(u32),
}

/// The flow of data through a code object.
#[derive(Debug, Default)]
pub struct DataFlow {
    /// Values on the stack where each block starts; `None` where control can't get.
    pub depths: Vec<Option<u32>>,
    /// Uses, sorted; `None` if there are more than are followed.
    pub uses: Option<Vec<Use>>,
    /// Deepest stack.
    pub max_depth: u32,
    /// Whether an instruction takes more than there is, or paths that meet differ in depth.
    pub is_uneven: bool,
}

impl DataFlow {
    /// Follows the data of a code object.
    pub fn new(instructions: &[Instruction<'_>], flow: &ControlFlow, exceptions: &[ExceptionEntry]) -> Self {
        let mut run = Run::new(instructions, flow, exceptions);
        run.measure_depths();
        run.run_blocks();
        let uses = run.resolve();
        Self { depths: run.depths, uses, max_depth: run.max_depth, is_uneven: run.is_uneven }
    }
}

/// State where a block ends.
#[derive(Debug, Default)]
struct Exit {
    /// The stack on the way to the block that follows.
    next: Vec<Value>,
    /// The stack on the way to the target.
    jump: Vec<Value>,
    /// Variables that the block changes: the last value.
    locals: HashMap<u32, Value, Mixer>,
    /// Values that variables have on the way: a handler may see any of them.
    stores: HashMap<u32, Vec<Value>, Mixer>,
}

struct Run<'r, 't> {
    instructions: &'r [Instruction<'t>],
    flow: &'r ControlFlow,
    exceptions: &'r [ExceptionEntry],
    depths: Vec<Option<u32>>,
    max_depth: u32,
    is_uneven: bool,
    exits: Vec<Exit>,
    /// Symbols that came up, and their numbers.
    symbols: Vec<(u32, Place)>,
    numbers: HashMap<(u32, Place), u32, Mixer>,
    pending: Vec<(u32, Option<u32>, Value)>,
}

impl<'r, 't> Run<'r, 't> {
    fn new(instructions: &'r [Instruction<'t>], flow: &'r ControlFlow, exceptions: &'r [ExceptionEntry]) -> Self {
        Self {
            instructions,
            flow,
            exceptions,
            depths: vec![None; flow.blocks.len()],
            max_depth: 0,
            is_uneven: false,
            exits: vec![],
            symbols: vec![],
            numbers: HashMap::default(),
            pending: vec![],
        }
    }

    /// Edges of a block, and the change of depth on the way to a handler where it has none of its own.
    fn successors(&self, block: usize) -> &'r [super::control_flow::Edge] {
        let edges = &self.flow.edges;
        let start = edges.partition_point(|edge| edge.from < block);
        let end = edges.partition_point(|edge| edge.from <= block);
        &edges[start..end]
    }

    /// Depth of the stack where each block starts: the first path wins, as in CPython's compiler, but for the return
    /// address that `CALL_FINALLY` pushes where exceptions push more.
    fn measure_depths(&mut self) {
        let mut pending = vec![];
        if !self.flow.blocks.is_empty() {
            self.depths[0] = Some(0);
            pending.push(0);
        }
        let mut later = vec![];
        while let Some(index) = pending.pop().or_else(|| later.pop()) {
            let Some(start) = self.depths[index] else { continue };
            let block = self.flow.blocks[index];
            let mut depth = i64::from(start);
            for instruction in &self.instructions[block.first..block.last()] {
                depth = self.step(depth, instruction, &instruction.op.next);
            }
            let last = &self.instructions[block.last()];
            let (next, jump) = (self.step(depth, last, &last.op.next), self.step(depth, last, &last.op.jump));
            let mut reach = |run: &mut Self, to: usize, depth: i64, is_call: bool| {
                let depth = depth.clamp(0, MAX_STACK as i64) as u32;
                match run.depths[to] {
                    None => {
                        run.depths[to] = Some(depth);
                        if is_call { later.push(to) } else { pending.push(to) }
                    }
                    Some(known) => run.is_uneven |= known != depth && !is_call,
                }
            };
            for edge in self.successors(index).iter().rev() {
                match (edge.kind, edge.exception) {
                    (EdgeKind::Normal, _) => reach(self, edge.to, next, false),
                    (EdgeKind::Jump, _) => reach(self, edge.to, jump, last.op.flow == Flow::Call),
                    (EdgeKind::Exception, Some(entry)) => reach(self, edge.to, self.handler_depth(entry), false),
                    (EdgeKind::Exception, None) => {}
                }
            }
            if let (Flow::Setup, Some(handler)) = (last.op.flow, self.flow.target(self.instructions, last)) {
                reach(self, handler, jump, false);
            }
        }
    }

    fn handler_depth(&self, entry: usize) -> i64 {
        let entry = &self.exceptions[entry];
        i64::from(entry.depth) + i64::from(entry.lasti) + 1
    }

    fn step(&mut self, depth: i64, instruction: &Instruction<'_>, effect: &StackEffect) -> i64 {
        let operand = instruction.operand();
        self.is_uneven |= depth < effect.pops.of(operand);
        let depth = (depth + effect.effect.of(operand)).clamp(0, MAX_STACK as i64);
        self.max_depth = self.max_depth.max(depth as u32);
        depth
    }

    fn run_blocks(&mut self) {
        let mut exits = Vec::with_capacity(self.flow.blocks.len());
        for index in 0..self.flow.blocks.len() {
            exits.push(match self.depths[index] {
                Some(depth) => self.run_block(index, depth),
                None => Exit::default(),
            });
        }
        self.exits = exits;
    }

    fn run_block(&mut self, index: usize, depth: u32) -> Exit {
        let block = self.flow.blocks[index];
        let number = index as u32;
        let mut exit = Exit::default();
        let mut stack: Vec<Value> = Vec::with_capacity(depth as usize + 8);
        for slot in 0..depth {
            stack.push(self.symbol(number, Place::Stack(slot)));
        }
        for at in block.first..block.end {
            let instruction = &self.instructions[at];
            let operand = instruction.operand();
            let user = at as u32;
            match instruction.op.moves {
                Move::None => {}
                Move::Swap => {
                    let (top, other) = (stack.len().wrapping_sub(1), stack.len().wrapping_sub(operand as usize));
                    if top < stack.len() && other < stack.len() {
                        stack.swap(top, other);
                    }
                    continue;
                }
                Move::Rotate(count) => {
                    let count = count.unwrap_or(operand) as usize;
                    if let Some(start) = stack.len().checked_sub(count) {
                        stack[start..].rotate_right(usize::from(count > 0));
                    }
                    continue;
                }
            }
            let is_last = at == block.last();
            if is_last {
                exit.jump = stack.clone();
                self.apply(&mut exit.jump, instruction, user, &instruction.op.jump);
            }
            self.apply(&mut stack, instruction, user, &instruction.op.next);
            self.access_locals(&mut exit, number, instruction, user, is_last);
        }
        exit.next = stack;
        exit
    }

    fn apply(&mut self, stack: &mut Vec<Value>, instruction: &Instruction<'_>, user: u32, effect: &StackEffect) {
        let operand = instruction.operand();
        let pops = effect.pops.of(operand).clamp(0, stack.len() as i64) as usize;
        let pushes = (effect.pops.of(operand) + effect.effect.of(operand)).clamp(0, MAX_STACK as i64) as usize;
        let left = stack.len() - pops;
        for value in &stack[left..] {
            self.pending.push((user, None, *value));
        }
        for peek in &instruction.op.peeks {
            let position = usize::try_from(peek.of(operand)).ok().and_then(|depth| left.checked_sub(depth));
            if let Some(value) = position.and_then(|position| stack.get(position)) {
                self.pending.push((user, None, *value));
            }
        }
        stack.truncate(left);
        let room = MAX_STACK.saturating_sub(left);
        stack.extend(std::iter::repeat_n(Value::Made(user), pushes.min(room)));
    }

    fn access_locals(&mut self, exit: &mut Exit, block: u32, instruction: &Instruction<'_>, user: u32, is_last: bool) {
        let arg = instruction.operand();
        let (first, second) = (arg >> 4, arg & 15);
        let store = |exit: &mut Exit, local: u32, value: Value| {
            exit.locals.insert(local, value);
            // What is stored last can't be seen by a handler, as nothing in the block can raise after it.
            if !is_last {
                exit.stores.entry(local).or_default().push(value);
            }
        };
        let load = |run: &mut Self, exit: &Exit, local: u32| {
            let value = exit.locals.get(&local).copied().unwrap_or_else(|| run.symbol(block, Place::Local(local)));
            run.pending.push((user, Some(local), value));
        };
        match instruction.op.locals {
            LocalAccess::None => {}
            LocalAccess::Load => load(self, exit, arg),
            LocalAccess::Store => store(exit, arg, Value::Made(user)),
            LocalAccess::Delete => store(exit, arg, Value::Unmade),
            LocalAccess::LoadAndClear => {
                load(self, exit, arg);
                store(exit, arg, Value::Unmade);
            }
            LocalAccess::LoadLoad => {
                load(self, exit, first);
                load(self, exit, second);
            }
            LocalAccess::StoreLoad => {
                store(exit, first, Value::Made(user));
                load(self, exit, second);
            }
            LocalAccess::StoreStore => {
                store(exit, first, Value::Made(user));
                store(exit, second, Value::Made(user));
            }
        }
    }

    fn symbol(&mut self, block: u32, place: Place) -> Value {
        let next = self.symbols.len() as u32;
        let number = *self.numbers.entry((block, place)).or_insert(next);
        if number == next {
            self.symbols.push((block, place));
        }
        Value::Symbol(number)
    }

    /// Turns what was used into uses.
    fn resolve(&mut self) -> Option<Vec<Use>> {
        let made = self.definitions()?;
        let mut uses = vec![];
        for (user, local, value) in std::mem::take(&mut self.pending) {
            match value {
                Value::Unmade => {}
                Value::Made(maker) => uses.push(Use { user, local, maker }),
                Value::Symbol(number) => {
                    uses.extend(made[number as usize].iter().map(|maker| Use { user, local, maker: *maker }));
                }
            }
            if uses.len() > MAX_DEFINITIONS {
                return None;
            }
        }
        uses.sort_unstable();
        uses.dedup();
        Some(uses)
    }

    /// The definitions that each symbol may stand for.
    fn definitions(&mut self) -> Option<Vec<Vec<u32>>> {
        let mut entering = vec![vec![]; self.flow.blocks.len()];
        for edge in &self.flow.edges {
            entering[edge.to].push((edge.from, edge.kind));
        }
        let mut setups = vec![vec![]; self.flow.blocks.len()];
        for (index, block) in self.flow.blocks.iter().enumerate() {
            let last = &self.instructions[block.last()];
            if let (Flow::Setup, Some(handler)) = (last.op.flow, self.flow.target(self.instructions, last)) {
                setups[handler].push(index);
            }
        }
        // Symbols that take their definitions from a symbol, and definitions to hand on.
        let mut takers: Vec<Vec<u32>> = vec![];
        let mut work: Vec<(u32, u32)> = vec![];
        let mut links = 0;
        let mut at = 0;
        while at < self.symbols.len() {
            let (block, place) = self.symbols[at];
            let values = self.values_entering(block as usize, place, &entering, &setups);
            links += values.len();
            if links > MAX_DEFINITIONS {
                return None;
            }
            for value in values {
                match value {
                    Value::Unmade => {}
                    Value::Made(maker) => work.push((at as u32, maker)),
                    Value::Symbol(source) => {
                        let source = source as usize;
                        if takers.len() <= source {
                            takers.resize(source + 1, vec![]);
                        }
                        takers[source].push(at as u32);
                    }
                }
            }
            at += 1;
        }
        takers.resize(self.symbols.len(), vec![]);
        let mut made: Vec<Vec<u32>> = vec![vec![]; self.symbols.len()];
        let mut count = 0;
        while let Some((symbol, maker)) = work.pop() {
            let Err(place) = made[symbol as usize].binary_search(&maker) else { continue };
            made[symbol as usize].insert(place, maker);
            count += 1 + takers[symbol as usize].len();
            if count > MAX_DEFINITIONS {
                return None;
            }
            work.extend(takers[symbol as usize].iter().map(|taker| (*taker, maker)));
        }
        Some(made)
    }

    /// Values that a place can have where a block starts.
    fn values_entering(
        &mut self,
        block: usize,
        place: Place,
        entering: &[Vec<(usize, EdgeKind)>],
        setups: &[Vec<usize>],
    ) -> Vec<Value> {
        let mut values = vec![];
        let slot = |stack: &[Value], slot: u32| stack.get(slot as usize).copied();
        for (from, kind) in &entering[block] {
            if self.depths[*from].is_none() {
                continue;
            }
            match (place, kind) {
                (Place::Stack(at), EdgeKind::Normal) => values.extend(slot(&self.exits[*from].next, at)),
                (Place::Stack(at), EdgeKind::Jump) => values.extend(slot(&self.exits[*from].jump, at)),
                (Place::Stack(at), EdgeKind::Exception) => {
                    if at < self.kept_by_handler(*from, block) {
                        values.push(self.symbol(*from as u32, place));
                    }
                }
                (Place::Local(local), kind) => self.local_values(&mut values, *from, local, *kind),
            }
        }
        for from in &setups[block] {
            match place {
                Place::Stack(at) => values.extend(slot(&self.exits[*from].jump, at)),
                Place::Local(local) => self.local_values(&mut values, *from, local, EdgeKind::Normal),
            }
        }
        values
    }

    /// Values on the stack of a block that its handler finds there.
    fn kept_by_handler(&self, from: usize, handler: usize) -> u32 {
        let is_edge = |edge: &&super::control_flow::Edge| edge.kind == EdgeKind::Exception && edge.to == handler;
        let entry = self.successors(from).iter().find(is_edge).and_then(|edge| edge.exception);
        // Up to 3.10 what sets a handler up brings the stack.
        entry.map_or(0, |entry| self.exceptions[entry].depth.min(self.depths[from].unwrap_or(0)))
    }

    fn local_values(&mut self, values: &mut Vec<Value>, from: usize, local: u32, kind: EdgeKind) {
        let exit = &self.exits[from];
        let last = exit.locals.get(&local).copied();
        if kind == EdgeKind::Exception {
            values.extend(exit.stores.get(&local).into_iter().flatten());
            values.push(self.symbol(from as u32, Place::Local(local)));
        } else {
            let value = last.unwrap_or_else(|| self.symbol(from as u32, Place::Local(local)));
            values.push(value);
        }
    }
}

/// Hashes small keys by multiplication; nothing iterates over them.
#[derive(Debug, Default, Clone, Copy)]
struct Mixer;

impl std::hash::BuildHasher for Mixer {
    type Hasher = Mixed;

    fn build_hasher(&self) -> Mixed {
        Mixed(0)
    }
}

struct Mixed(u64);

impl std::hash::Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, value: u32) {
        self.0 = (self.0.rotate_left(5) ^ u64::from(value)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u32(value as u32);
    }
}
