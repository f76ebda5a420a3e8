//! Blocks and their symbols: what the first pass collects and the second one decides.

use ruff_text_size::TextRange;

use super::names::{FastMap, NameId, Names};

/// What is known of a name in a block, in CPython's bits.
pub(super) mod flag {
    /// `global` statement.
    pub(in super::super) const GLOBAL: u16 = 1;
    /// Assigned in the block.
    pub(in super::super) const LOCAL: u16 = 1 << 1;
    /// Parameter.
    pub(in super::super) const PARAM: u16 = 1 << 2;
    /// `nonlocal` statement.
    pub(in super::super) const NONLOCAL: u16 = 1 << 3;
    /// Used.
    pub(in super::super) const USE: u16 = 1 << 4;
    /// Free in a method, and known to the class.
    pub(in super::super) const FREE_CLASS: u16 = 1 << 6;
    /// Bound by an import.
    pub(in super::super) const IMPORT: u16 = 1 << 7;
    /// Annotated.
    pub(in super::super) const ANNOT: u16 = 1 << 8;
    /// Iteration variable of a comprehension.
    pub(in super::super) const COMP_ITER: u16 = 1 << 9;
    /// Type parameter.
    pub(in super::super) const TYPE_PARAM: u16 = 1 << 10;
    /// Cell of an inlined comprehension.
    pub(in super::super) const COMP_CELL: u16 = 1 << 11;
    /// Bound in the block.
    pub(in super::super) const BOUND: u16 = LOCAL | PARAM | IMPORT;
}

/// A block, by its place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct BlockId(u32);

impl BlockId {
    /// The module.
    pub(super) const MODULE: BlockId = BlockId(0);
}

/// Kind of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Module,
    Function,
    Class,
    Annotation,
    TypeVariable,
    TypeAlias,
    TypeParameters,
}

impl Kind {
    /// Whether names are found in it as in a function (`_PyST_IsFunctionLike`); annotations are since 3.14, and make no
    /// part of the table before.
    pub(super) fn is_function_like(self) -> bool {
        !matches!(self, Self::Module | Self::Class)
    }

    /// Whether it is a scope that the source doesn't show.
    pub(super) fn is_meta(self) -> bool {
        !matches!(self, Self::Module | Self::Class | Self::Function)
    }
}

/// Where a name is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Local,
    GlobalExplicit,
    GlobalImplicit,
    Free,
    Cell,
}

impl Scope {
    /// CPython's word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Local => "LOCAL",
            Self::GlobalExplicit => "GLOBAL_EXPLICIT",
            Self::GlobalImplicit => "GLOBAL_IMPLICIT",
            Self::Free => "FREE",
            Self::Cell => "CELL",
        }
    }
}

/// A name in a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Symbol {
    pub(super) name: NameId,
    /// Of [`flag`].
    pub(super) flags: u16,
    /// Decided by the second pass.
    pub(super) scope: Scope,
    /// For [`Scope::Free`], the block that binds the name.
    pub(super) binder: BlockId,
    /// Row of the symbol, once it has one.
    pub(super) ordinal: i32,
}

impl Symbol {
    pub(super) fn has(&self, flags: u16) -> bool {
        self.flags & flags != 0
    }

    /// Whether the block does nothing with the name but hand it to a block within.
    pub(super) fn is_passed_on(&self) -> bool {
        self.flags & !(flag::FREE_CLASS | flag::COMP_CELL) == 0
    }
}

/// Kind of a comprehension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comprehension {
    List,
    Set,
    Dict,
    Generator,
}

/// A block: a module, a class, a function, or what is scoped like one.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) kind: Kind,
    pub(super) name: NameId,
    pub(super) parent: Option<BlockId>,
    pub(super) range: TextRange,
    /// In the order in which the first pass meets them.
    pub(super) symbols: Vec<Symbol>,
    pub(super) children: Vec<BlockId>,
    /// `global` and `nonlocal` statements, to place errors.
    pub(super) directives: Vec<(NameId, TextRange)>,
    /// Within a function.
    pub(super) nested: bool,
    pub(super) comprehension: Option<Comprehension>,
    /// Has a `yield`, or is a generator expression.
    pub(super) generator: bool,
    /// `async def`, or has an `await`.
    pub(super) coroutine: bool,
    /// An annotation scope right in a class, which sees the names of the class.
    pub(super) sees_class: bool,
    /// The walk is in the target of a comprehension.
    pub(super) in_target: bool,
    /// Iterables of comprehensions around the walk.
    pub(super) iterables: u32,
    /// Which of the sets of names are mangled, where not all are.
    pub(super) mangled: Option<usize>,
    /// The walk is in a statement that might not run.
    pub(super) conditional: bool,
    pub(super) conditional_annotations: bool,
    /// The walk is in an annotation that is never evaluated.
    pub(super) unevaluated: bool,
    /// The block of this one's annotations of variables.
    pub(super) annotations: Option<BlockId>,
    /// What a type variable's block is for, in error messages.
    pub(super) purpose: &'static str,
    /// Not part of the table: within an annotation that is kept as text.
    pub(super) detached: bool,
    /// The block that took this comprehension in.
    pub(super) host: Option<BlockId>,
    /// Lines between where it is and where CPython has it.
    pub(super) line_shift: i32,
    /// Row of the block, once it has one.
    pub(super) ordinal: i32,
}

/// How the source touches a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Load,
    Store,
    Delete,
    Parameter,
    TypeParameter,
    Definition,
    Import,
    Annotation,
    Global,
    Nonlocal,
}

impl Access {
    /// Its word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Store => "store",
            Self::Delete => "delete",
            Self::Parameter => "parameter",
            Self::TypeParameter => "type_parameter",
            Self::Definition => "definition",
            Self::Import => "import",
            Self::Annotation => "annotation",
            Self::Global => "global",
            Self::Nonlocal => "nonlocal",
        }
    }
}

/// An occurrence of a name in the source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Use {
    pub(super) name: NameId,
    /// The symbol it is for, by its mangled name; none where CPython makes none.
    pub(super) symbol: Option<NameId>,
    pub(super) block: BlockId,
    pub(super) access: Access,
    pub(super) range: TextRange,
}

/// All blocks of a file.
#[derive(Debug)]
pub(super) struct Blocks<'a> {
    pub(super) names: Names<'a>,
    blocks: Vec<Block>,
    /// Where a block's symbol of a name is among its symbols.
    places: FastMap<u64, u32>,
    pub(super) uses: Vec<Use>,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(names: Names<'a>) -> Self {
        Self { names, blocks: vec![], places: FastMap::default(), uses: vec![] }
    }

    /// Adds a block without symbols.
    pub(super) fn add(&mut self, kind: Kind, name: NameId, parent: Option<BlockId>, range: TextRange) -> BlockId {
        let id = BlockId(self.blocks.len() as u32);
        let outer = parent.map(|parent| &self[parent]);
        let nested = outer.is_some_and(|outer| outer.nested || outer.kind.is_function_like());
        let detached = outer.is_some_and(|outer| outer.detached);
        self.blocks.push(Block {
            kind,
            name,
            parent,
            range,
            symbols: vec![],
            children: vec![],
            directives: vec![],
            nested,
            comprehension: None,
            generator: false,
            coroutine: false,
            sees_class: false,
            in_target: false,
            iterables: 0,
            mangled: None,
            conditional: false,
            conditional_annotations: false,
            unevaluated: false,
            annotations: None,
            purpose: "",
            detached,
            host: None,
            line_shift: 0,
            ordinal: -1,
        });
        id
    }

    /// Position of a block's symbol of that name.
    #[inline]
    pub(super) fn place(&self, block: BlockId, name: NameId) -> Option<usize> {
        self.places.get(&key(block, name)).map(|place| *place as usize)
    }

    /// A block's symbol of that name.
    #[inline]
    pub(super) fn symbol(&self, block: BlockId, name: NameId) -> Option<&Symbol> {
        self.place(block, name).map(|place| &self[block].symbols[place])
    }

    /// What is known of a name in a block; nothing for a name it doesn't have.
    pub(super) fn flags(&self, block: BlockId, name: NameId) -> u16 {
        self.symbol(block, name).map_or(0, |symbol| symbol.flags)
    }

    /// A block's symbol of that name, added without flags if it isn't there.
    #[inline]
    pub(super) fn symbol_or_new(&mut self, block: BlockId, name: NameId) -> &mut Symbol {
        let symbols = &mut self.blocks[block.0 as usize].symbols;
        let place = *self.places.entry(key(block, name)).or_insert_with(|| {
            symbols.push(Symbol { name, flags: 0, scope: Scope::Local, binder: block, ordinal: -1 });
            symbols.len() as u32 - 1
        });
        &mut symbols[place as usize]
    }

    /// The block that stands in the table for this one, which can be a comprehension that was taken in, or lie in an
    /// annotation that is kept as text.
    pub(super) fn shown(&self, mut block: BlockId) -> BlockId {
        while let Block { host: Some(outer), .. } | Block { detached: true, parent: Some(outer), .. } = self[block] {
            block = outer;
        }
        block
    }
}

fn key(block: BlockId, name: NameId) -> u64 {
    u64::from(block.0) << 32 | name.index() as u64
}

impl std::ops::Index<BlockId> for Blocks<'_> {
    type Output = Block;

    #[inline]
    fn index(&self, id: BlockId) -> &Block {
        &self.blocks[id.0 as usize]
    }
}

impl std::ops::IndexMut<BlockId> for Blocks<'_> {
    #[inline]
    fn index_mut(&mut self, id: BlockId) -> &mut Block {
        &mut self.blocks[id.0 as usize]
    }
}
