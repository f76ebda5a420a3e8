//! Basic blocks and the edges between them.

use super::exceptions::ExceptionEntry;
use super::instructions::Instruction;
use super::opcodes::Flow;

/// A basic block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Index of its first instruction.
    pub first: usize,
    /// Index after its last instruction.
    pub end: usize,
    /// Whether a jump leads here.
    pub is_target: bool,
    /// Whether it is the first of a handler.
    pub is_handler: bool,
}

impl Block {
    /// Index of its last instruction.
    pub fn last(&self) -> usize {
        self.end - 1
    }

    /// How control gets there.
    pub fn kind(&self) -> &'static str {
        match self {
            Self { first: 0, .. } => "entry",
            Self { is_handler: true, .. } => "handler",
            Self { is_target: true, .. } => "jump",
            _ => "normal",
        }
    }
}

/// Kind of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeKind {
    /// To the block that follows.
    Normal,
    /// To a target.
    Jump,
    /// To a handler.
    Exception,
}

impl EdgeKind {
    /// Name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Jump => "jump",
            Self::Exception => "exception",
        }
    }
}

/// An edge between blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Block that control leaves.
    pub from: usize,
    /// Kind.
    pub kind: EdgeKind,
    /// Block that it enters.
    pub to: usize,
    /// Whether the last instruction decides between this edge and another.
    pub conditional: bool,
    /// Entry of the exception table.
    pub exception: Option<usize>,
}

/// The graph of a code object.
#[derive(Debug, Default)]
pub struct ControlFlow {
    /// Blocks, in the order of the code.
    pub blocks: Vec<Block>,
    /// Edges, by the block they leave.
    pub edges: Vec<Edge>,
}

impl ControlFlow {
    /// The graph of instructions. Jumps to where no instruction is have no edge.
    pub fn new(instructions: &[Instruction<'_>], exceptions: &[ExceptionEntry]) -> Self {
        let mut flow = Self { blocks: blocks(instructions, exceptions), edges: vec![] };
        let mut edges = vec![];
        for (from, block) in flow.blocks.iter().enumerate() {
            let last = &instructions[block.last()];
            let conditional = last.op.flow == Flow::Branch;
            let edge = |kind, to, conditional, exception| Edge { from, kind, to, conditional, exception };
            if goes_on(last) && from + 1 < flow.blocks.len() {
                edges.push(edge(EdgeKind::Normal, from + 1, conditional, None));
            }
            if let (Flow::Jump | Flow::Branch | Flow::Call, Some(to)) = (last.op.flow, flow.target(instructions, last))
            {
                edges.push(edge(EdgeKind::Jump, to, conditional, None));
            }
            let offset = instructions[block.first].offset;
            // Entries are sorted and don't overlap.
            let after = exceptions.partition_point(|entry| entry.start <= offset);
            let covering = after.checked_sub(1).filter(|index| offset < exceptions[*index].end);
            let handler = covering.and_then(|i| Some((i, flow.block_at(instructions, exceptions[i].target.into())?)));
            if let Some((index, to)) = handler {
                edges.push(edge(EdgeKind::Exception, to, false, Some(index)));
            }
        }
        flow.edges = edges;
        flow.add_block_stack_edges(instructions);
        flow
    }

    /// The block that starts at an offset.
    pub fn block_at(&self, instructions: &[Instruction<'_>], offset: i64) -> Option<usize> {
        let found = self.blocks.binary_search_by_key(&offset, |block| i64::from(instructions[block.first].offset));
        found.ok()
    }

    /// The block a jump leads to.
    pub fn target(&self, instructions: &[Instruction<'_>], jump: &Instruction<'_>) -> Option<usize> {
        self.block_at(instructions, jump.target?)
    }

    /// Edges to handlers as 3.8 to 3.10 have them: the handler that was set up last and not taken down since. Control
    /// is followed from the entry; where it can't get there are no such edges.
    fn add_block_stack_edges(&mut self, instructions: &[Instruction<'_>]) {
        if !self.blocks.iter().any(|block| instructions[block.last()].op.flow == Flow::Setup) {
            return;
        }
        /// A handler, and those around it.
        #[derive(Clone, Copy)]
        struct Level {
            handler: usize,
            outer: Option<usize>,
        }
        let mut levels: Vec<Level> = vec![];
        let mut seen = vec![false; self.blocks.len()];
        let mut pending: Vec<(usize, Option<usize>)> = vec![(0, None)];
        let mut next_edges = vec![vec![]; self.blocks.len()];
        self.edges.iter().for_each(|edge| next_edges[edge.from].push(edge.to));
        while let Some((index, level)) = pending.pop() {
            if std::mem::replace(&mut seen[index], true) {
                continue;
            }
            let last = &instructions[self.blocks[index].last()];
            if let Some(level) = level {
                let to = levels[level].handler;
                let kind = EdgeKind::Exception;
                self.edges.push(Edge { from: index, kind, to, conditional: false, exception: None });
            }
            let after = match last.op.flow {
                Flow::Setup => {
                    let handler = self.target(instructions, last);
                    handler.map_or(level, |handler| {
                        levels.push(Level { handler, outer: level });
                        pending.push((handler, level));
                        Some(levels.len() - 1)
                    })
                }
                Flow::PopBlock => level.and_then(|level| levels[level].outer),
                _ => level,
            };
            pending.extend(next_edges[index].iter().rev().map(|to| (*to, after)));
        }
        self.edges.sort_unstable();
    }
}

/// Whether control can go on to the instruction that follows.
fn goes_on(instruction: &Instruction<'_>) -> bool {
    !matches!(instruction.op.flow, Flow::Jump | Flow::Return | Flow::Raise)
}

fn blocks(instructions: &[Instruction<'_>], exceptions: &[ExceptionEntry]) -> Vec<Block> {
    let count = instructions.len();
    // For each instruction: whether a block starts there, whether a jump or a handler leads there.
    let mut leaders = vec![(false, false, false); count + 1];
    let at = |offset: i64| instructions.binary_search_by_key(&offset, |i| i64::from(i.offset)).unwrap_or_else(|i| i);
    if let Some(first) = leaders.first_mut() {
        first.0 = true;
    }
    for (index, instruction) in instructions.iter().enumerate() {
        if instruction.op.flow != Flow::Next {
            leaders[index + 1].0 = true;
        }
        if let (true, Some(target)) = (instruction.jumps(), instruction.target) {
            let leader = &mut leaders[at(target)];
            leader.0 = true;
            match instruction.op.flow {
                Flow::Setup => leader.2 = true,
                _ => leader.1 = true,
            }
        }
    }
    for entry in exceptions {
        for offset in [entry.start, entry.end] {
            leaders[at(i64::from(offset))].0 = true;
        }
        let handler = &mut leaders[at(i64::from(entry.target))];
        (handler.0, handler.2) = (true, true);
    }
    let starts: Vec<usize> = (0..count).filter(|index| leaders[*index].0).collect();
    let ends = starts.iter().skip(1).copied().chain([count]);
    let block = |(first, end): (&usize, usize)| Block {
        first: *first,
        end,
        is_target: leaders[*first].1,
        is_handler: leaders[*first].2,
    };
    starts.iter().zip(ends).map(block).collect()
}
