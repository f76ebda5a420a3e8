//! What differs between versions of CPython.

use crate::python::{MAX_DEPTH, Version};

/// The rules of one version. Within a version they are those of its last releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    /// 3.8 and 3.9 place some errors at the block that holds the name; later ones at the name.
    pub(super) errors_at_block: bool,
    /// 3.8 looks for the lines of an f-string's expressions in the first of the strings that are written together.
    pub(super) lines_of_first_string: bool,
    /// 3.10: `from __future__` is checked before the symbol table is built.
    pub(super) future_checked: bool,
    /// 3.10 to 3.12 take `from .__future__ import` for the real one.
    pub(super) future_relative: bool,
    /// Up to 3.11, a feature on the line of another statement is late already to the front end.
    pub(super) future_by_line: bool,
    /// 3.10 with `from __future__ import annotations`: annotations leave no trace in the table.
    pub(super) annotations_detached: bool,
    /// Up to 3.11: decorators come after a function's annotations and a class's bases.
    pub(super) decorators_last: bool,
    /// Up to 3.12: exception handlers come after the `else` of their statement.
    pub(super) handlers_after_else: bool,
    /// PEP 695 (3.12): scopes of type parameters, bounds and aliases.
    pub(super) type_scopes: bool,
    /// PEP 709 (3.12): comprehensions are part of the scope around them.
    pub(super) inlined_comprehensions: bool,
    /// 3.14: what such a comprehension uses of the function around it, that function uses.
    pub(super) uses_merged: bool,
    /// 3.12 alone: no lambda or comprehension in an annotation scope within a class.
    pub(super) plain_class_annotations: bool,
    /// 3.13: what `symtable.Class.get_methods` counts are functions that the class binds; before, every scope in it. That
    /// came in 3.12.5 already (gh-119698), in the module, not in the compiler: 3.12 here is as it was released.
    pub(super) methods_are_functions: bool,
    /// Up to 3.11, a name that methods take through a class is marked so only where the class binds it.
    pub(super) free_class_bound: bool,
    /// 3.13 (PEP 696): defaults of type parameters, and new names of their scopes.
    pub(super) type_defaults: bool,
    /// PEP 649 (3.14): annotations are evaluated lazily, in a scope of their own.
    pub(super) deferred_annotations: bool,
    /// 3.14: `await` and its kin, `__debug__` and late `__future__` imports are checked with the names.
    pub(super) early_checks: bool,
    /// Deepest nesting of statements and expressions. Up to 3.12 three times the recursion limit of 1,000, less what
    /// the callers use of it.
    pub(super) max_depth: usize,
}

impl Rules {
    /// The rules of a version.
    pub(super) fn of(version: Version) -> Self {
        let since = |minor| version.minor() >= minor;
        Self {
            errors_at_block: !since(10),
            lines_of_first_string: !since(9),
            future_checked: since(10),
            future_relative: !since(13),
            future_by_line: !since(12),
            annotations_detached: since(10),
            decorators_last: !since(12),
            handlers_after_else: !since(13),
            type_scopes: since(12),
            inlined_comprehensions: since(12),
            uses_merged: since(14),
            plain_class_annotations: !since(13),
            methods_are_functions: since(13),
            free_class_bound: !since(12),
            type_defaults: since(13),
            deferred_annotations: since(14),
            early_checks: since(14),
            max_depth: if since(13) { MAX_DEPTH } else { 2_990 },
        }
    }
}
