//! Questions to blocks that are analysed: which scope binds a name, which scopes are methods.

use super::block::{Block, BlockId, Blocks, Kind, Scope, Use, flag};
use super::names;

/// What an occurrence of a name is of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolution {
    /// Ordinal of the symbol.
    pub(super) symbol: i32,
    pub(super) scope: Scope,
    /// Ordinal of the scope that binds it.
    pub(super) binder: Option<i32>,
    /// Whether a comprehension without a scope of its own does.
    pub(super) in_comprehension: bool,
}

impl Blocks<'_> {
    /// The symbol and the scope that an occurrence of a name is of.
    pub(super) fn resolve(&self, occurrence: Use) -> Option<Resolution> {
        let name = occurrence.symbol?;
        if self[occurrence.block].detached {
            return None;
        }
        // A comprehension that was taken in has names of its own; the others are those of its host.
        let mut block = occurrence.block;
        let mut symbol = self.symbol(block, name)?;
        while let Some(host) = self[block].host
            && symbol.scope == Scope::Free
            && self[host].kind != Kind::Class
            && let Some(outer) = self.symbol(host, name)
        {
            (block, symbol) = (host, outer);
        }
        let binder = match symbol.scope {
            Scope::Local | Scope::Cell => Some(block),
            Scope::Free => Some(symbol.binder),
            Scope::GlobalExplicit | Scope::GlobalImplicit => {
                let bound = self.flags(BlockId::MODULE, name) & (flag::BOUND | flag::GLOBAL) != 0;
                bound.then_some(BlockId::MODULE)
            }
        };
        let shown = self.shown(occurrence.block);
        Some(Resolution {
            symbol: self.symbol(shown, name)?.ordinal,
            scope: symbol.scope,
            binder: binder.map(|binder| self[self.shown(binder)].ordinal),
            in_comprehension: binder.is_some_and(|binder| self[binder].host.is_some()),
        })
    }

    /// Whether a scope in a class is a function that the class binds, for `symtable.Class.get_methods`.
    pub(super) fn is_method(&self, class: BlockId, child: BlockId) -> bool {
        let Block { kind, name, ref children, .. } = self[child];
        if self.symbol(class, name).is_none_or(|symbol| symbol.scope != Scope::Local) {
            return false;
        }
        match kind {
            // A function can be called `genexpr`; a generator has a parameter for its iterable.
            Kind::Function => name != names::GENEXPR || self.symbol(child, names::ITERATOR).is_none(),
            Kind::TypeParameters => {
                children.iter().any(|inner| self[*inner].name == name && self[*inner].kind == Kind::Function)
            }
            _ => false,
        }
    }
}
