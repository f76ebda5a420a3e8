//! The datasets of the `symtable_*` lane.

use crate::catalog::Scope;
use crate::fact_table;
use crate::lane::LaneId;

fact_table! {
    /// Scopes of a Python file, as CPython's `symtable` shows them: one row a table, depth first in the order of
    /// `get_children()`. Comprehensions that are part of the scope around them (PEP 709) have none.
    pub struct SymtableScopes = "symtable_scopes", lane: Some(LaneId::Symtable), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position in the file, depth first; 0 is the module.
        ordinal: Int32,
        /// Ordinal of the scope around it; null for the module.
        parent_ordinal: OptInt32,
        /// Index among the scopes of its parent.
        child_index: OptInt32 { unit: "index, from 0" },
        /// `get_type()`: `module`, `class`, `function` (of lambdas and comprehensions too), `annotation`, `type alias`;
        /// `type parameters` and `type variable`, which 3.12 calls `type parameter` and `TypeVar bound`.
        block_type: Symbol { source: "symtable.SymbolTable.get_type" },
        /// `_table.type`, CPython's number for it.
        scope_type_value: Int32 { source: "_symtable.TYPE_*" },
        /// Whether it is a scope that the source doesn't show: of annotations, type parameters, their bounds, aliases.
        is_meta_scope: Bool,
        /// `get_name()`: `top` for the module, `lambda`, `genexpr`, `listcomp`, ….
        name: Utf8,
        /// Names of the scopes from the module's own ones down to this one, joined by dots; `top` for the module.
        qualpath: Utf8,
        /// `get_lineno()`: 0 for the module.
        lineno: Int32 { unit: "line, from 1" },
        /// First byte of what the scope belongs to: at `def` or `class`, behind decorators.
        bstart: Int32 { unit: "byte, from 0" },
        /// First byte after it.
        bend: Int32 { unit: "byte, from 0" },
        /// `is_optimized()`.
        is_optimized: Bool,
        /// `is_nested()`.
        is_nested: Bool,
        /// `has_children()`.
        has_children: Bool,
        /// Symbols of the scope.
        symbol_count: Int32,
    }
}

fact_table! {
    /// Symbols of the scopes, as `symtable.Symbol` shows them: in the order in which CPython meets them; names that a
    /// scope only hands to scopes within (which CPython has in no stable order) come last, by name.
    pub struct SymtableSymbols = "symtable_symbols", lane: Some(LaneId::Symtable), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position in the file.
        ordinal: Int32,
        /// The scope.
        scope_ordinal: Int32 { source: "symtable_scopes.ordinal" },
        /// Name, normalized (NFKC), private names of classes mangled.
        name: Utf8 { source: "symtable.Symbol.get_name" },
        /// Where the name is found: `LOCAL`, `CELL`, `FREE`, `GLOBAL_IMPLICIT` or `GLOBAL_EXPLICIT`.
        scope: Symbol { source: "_symtable" },
        /// `is_referenced()`.
        is_referenced: Bool,
        /// `is_imported()`.
        is_imported: Bool,
        /// `is_parameter()`.
        is_parameter: Bool,
        /// `is_type_parameter()`.
        is_type_parameter: Bool,
        /// `is_global()`.
        is_global: Bool,
        /// `is_nonlocal()`.
        is_nonlocal: Bool,
        /// `is_declared_global()`.
        is_declared_global: Bool,
        /// `is_local()`.
        is_local: Bool,
        /// `is_annotated()`.
        is_annotated: Bool,
        /// `is_free()`.
        is_free: Bool,
        /// `is_assigned()`.
        is_assigned: Bool,
        /// `is_namespace()`.
        is_namespace: Bool,
        /// `is_free_class()`.
        is_free_class: Bool,
        /// `is_comp_iter()`.
        is_comp_iter: Bool,
        /// `is_comp_cell()`.
        is_comp_cell: Bool,
        /// Scopes bound to the name.
        namespace_count: Int32,
    }
}

fact_table! {
    /// Which scope lies in which.
    pub struct SymtableScopeEdges = "symtable_scope_edges", lane: Some(LaneId::Symtable), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position in the file.
        ordinal: Int32,
        /// The outer scope.
        parent_ordinal: Int32 { source: "symtable_scopes.ordinal" },
        /// The scope in it.
        child_ordinal: Int32 { source: "symtable_scopes.ordinal" },
        /// Index in `get_children()` of the outer one.
        child_index: Int32 { unit: "index, from 0" },
    }
}

fact_table! {
    /// Which scopes are bound to a symbol, as `get_namespaces()` tells: those in the symbol's scope that have its name.
    pub struct SymtableNamespaceEdges = "symtable_namespace_edges", lane: Some(LaneId::Symtable), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position in the file.
        ordinal: Int32,
        /// The symbol.
        symbol_ordinal: Int32 { source: "symtable_symbols.ordinal" },
        /// The scope of the symbol.
        scope_ordinal: Int32 { source: "symtable_scopes.ordinal" },
        /// The scope bound to it.
        namespace_ordinal: Int32 { source: "symtable_scopes.ordinal" },
        /// Index in `get_namespaces()`.
        namespace_index: Int32 { unit: "index, from 0" },
    }
}

fact_table! {
    /// The names of functions by what they are to them: one row a name and partition.
    pub struct SymtableFunctionPartitions = "symtable_function_partitions", lane: Some(LaneId::Symtable), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position in the file.
        ordinal: Int32,
        /// The function.
        scope_ordinal: Int32 { source: "symtable_scopes.ordinal" },
        /// `parameters`, `locals`, `globals`, `nonlocals` or `frees`: what `get_…()` of a function gives.
        partition: Symbol { source: "symtable.Function" },
        /// The symbol.
        symbol_ordinal: Int32 { source: "symtable_symbols.ordinal" },
        /// Its name.
        name: Utf8,
        /// Position in the partition.
        position: Int32 { unit: "index, from 0" },
    }
}

fact_table! {
    /// Methods of classes, as `get_methods()` of the target version tells; before 3.13, all scopes in a class.
    pub struct SymtableClassMethods = "symtable_class_methods", lane: Some(LaneId::Symtable), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position in the file.
        ordinal: Int32,
        /// The class.
        scope_ordinal: Int32 { source: "symtable_scopes.ordinal" },
        /// Name, as written.
        name: Utf8 { source: "symtable.Class.get_methods" },
        /// Position among the class's methods.
        position: Int32 { unit: "index, from 0" },
    }
}

fact_table! {
    /// Every occurrence of a name in the source, and the scope that binds the name it is of.
    pub struct SymtableResolutions = "symtable_resolutions", lane: Some(LaneId::Symtable), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position in the file, in the order of the source.
        ordinal: Int32,
        /// The name, normalized (NFKC) but not mangled.
        name: Utf8,
        /// What is done with it: `load`, `store`, `delete`, `parameter`, `type_parameter`, `definition` (of a function or
        /// class), `import`, `annotation` (without a value), `global` or `nonlocal`.
        access: Symbol,
        /// The scope it stands in; that of `def`, not of its body, for defaults and decorators.
        scope_ordinal: Int32 { source: "symtable_scopes.ordinal" },
        /// Its symbol there; null where CPython makes none, in annotations that it does not evaluate.
        symbol_ordinal: OptInt32 { source: "symtable_symbols.ordinal" },
        /// Where the name is found: `LOCAL`, `CELL`, `FREE`, `GLOBAL_IMPLICIT` or `GLOBAL_EXPLICIT`; null without symbol.
        resolution: OptSymbol,
        /// The scope that binds the name; null where none of the file does, as for builtins. A class's own names can
        /// still be found further out while they are not bound.
        binding_scope_ordinal: OptInt32 { source: "symtable_scopes.ordinal" },
        /// Whether an inlined comprehension binds it, which keeps its names apart from those of its scope (PEP 709).
        in_comprehension: Bool,
        /// First byte of the name.
        bstart: Int32 { unit: "byte, from 0" },
        /// First byte after it.
        bend: Int32 { unit: "byte, from 0" },
        /// Its line.
        lineno: Int32 { unit: "line, from 1" },
        /// Column of the first byte.
        col_offset: Int32 { unit: "UTF-8 byte of the decoded line, from 0" },
        /// Column after the last byte.
        end_col_offset: Int32 { unit: "UTF-8 byte of the decoded line, from 0" },
    }
}

fact_table! {
    /// Files without a symbol table: one row a file, with the first error. Such a file has no rows in the other tables.
    pub struct SymtableErrors = "symtable_errors", lane: Some(LaneId::Symtable), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position among the file's errors.
        ordinal: Int32,
        /// Where it was refused: `parse`, or `symtable` for what is well-formed but makes no sense of its names.
        stage: Symbol,
        /// CPython's exception: `SyntaxError`, `IndentationError`, `RecursionError`, ….
        error_type: Symbol,
        /// What is wrong: at stage `symtable`, in CPython's words.
        message: Utf8,
        /// First byte concerned; null where there is no one place.
        bstart: OptInt32 { unit: "byte, from 0" },
        /// First byte after it.
        bend: OptInt32 { unit: "byte, from 0" },
        /// First line.
        lineno: OptInt32 { unit: "line, from 1" },
        /// Column of the first byte.
        col_offset: OptInt32 { unit: "UTF-8 byte of the decoded line, from 0" },
        /// Last line.
        end_lineno: OptInt32 { unit: "line, from 1" },
        /// Column after the last byte.
        end_col_offset: OptInt32 { unit: "UTF-8 byte of the decoded line, from 0" },
    }
}
