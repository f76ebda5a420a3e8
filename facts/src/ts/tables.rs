//! The tables of the lane. Spans are bytes of the file as it lies on disk, end exclusive; `ordinal` of a node is its
//! place in a pre-order walk over all nodes, so it names the same node in every table, whichever of them are filled.

use tree_sitter::Node;

use crate::catalog::Scope;
use crate::fact_table;
use crate::lane::LaneId;

fact_table! {
    /// One row a node of the concrete syntax tree, in pre-order, anonymous nodes included.
    pub struct Nodes = "ts_nodes", lane: Some(LaneId::Ts), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Place in a pre-order walk, from 0.
        ordinal: Int32,
        /// Node it is a child of; null for the root.
        parent_ordinal: OptInt32,
        /// Kind, `ERROR` where the parser skipped text.
        kind: Symbol { source: "ts_node_type" },
        /// Number of the kind in the grammar, 65535 for `ERROR`.
        kind_id: Int32 { source: "ts_node_symbol" },
        /// Kind before aliases, where it differs from `kind`.
        grammar_name: OptSymbol { source: "ts_node_grammar_type" },
        /// Number of the kind before aliases, where it differs from `kind_id`.
        grammar_id: OptInt32 { source: "ts_node_grammar_symbol" },
        /// Field of the parent it fills.
        field_name: OptSymbol,
        /// Place among its parent's children, from 0.
        child_index: Int32,
        /// Whether the grammar names it; punctuation and keywords are anonymous.
        is_named: Bool,
        /// Whether it is text the parser could not use.
        is_error: Bool,
        /// Whether the parser put it in, without text.
        is_missing: Bool,
        /// Whether it may stand anywhere, like a comment.
        is_extra: Bool,
        /// Whether it is or holds an error.
        has_error: Bool,
        /// Text of a named node without children (identifiers, literals, comments), cut at `max_text_bytes`.
        text: OptWords,
        /// First byte.
        bstart: Int32 { unit: "byte, from 0" },
        /// End, exclusive.
        bend: Int32 { unit: "byte, from 0" },
        /// Line it starts on.
        start_line: Int32 { unit: "line, from 1" },
        /// Column it starts at.
        start_col: Int32 { unit: "byte of the line, from 0" },
        /// Line it ends on.
        end_line: Int32 { unit: "line, from 1" },
        /// Column it ends at, exclusive.
        end_col: Int32 { unit: "byte of the line, from 0" },
    }
}

fact_table! {
    /// One row an `ERROR` node: text that fits nowhere in the grammar.
    pub struct Errors = "ts_errors", lane: Some(LaneId::Ts), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Place among the file's errors.
        ordinal: Int32,
        /// The node.
        node_ordinal: Int32,
        /// Node it is a child of.
        parent_ordinal: OptInt32,
        /// Kind of that node.
        parent_kind: OptSymbol,
        /// Text, cut at `max_text_bytes`.
        text: Words,
        /// First byte.
        bstart: Int32 { unit: "byte, from 0" },
        /// End, exclusive.
        bend: Int32 { unit: "byte, from 0" },
        /// Line it starts on.
        start_line: Int32 { unit: "line, from 1" },
        /// Column it starts at.
        start_col: Int32 { unit: "byte of the line, from 0" },
        /// Line it ends on.
        end_line: Int32 { unit: "line, from 1" },
        /// Column it ends at, exclusive.
        end_col: Int32 { unit: "byte of the line, from 0" },
    }
}

fact_table! {
    /// One row a node the parser put in to go on, where the grammar asks for one and the text has none.
    pub struct Missing = "ts_missing", lane: Some(LaneId::Ts), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Place among the file's missing nodes.
        ordinal: Int32,
        /// The node.
        node_ordinal: Int32,
        /// Kind that was expected.
        kind: Symbol,
        /// Node it is a child of.
        parent_ordinal: OptInt32,
        /// Kind of that node.
        parent_kind: OptSymbol,
        /// Where it should stand.
        bstart: Int32 { unit: "byte, from 0" },
        /// The same: a missing node is empty.
        bend: Int32 { unit: "byte, from 0" },
        /// Line it starts on.
        start_line: Int32 { unit: "line, from 1" },
        /// Column it starts at.
        start_col: Int32 { unit: "byte of the line, from 0" },
        /// Line it ends on.
        end_line: Int32 { unit: "line, from 1" },
        /// Column it ends at, exclusive.
        end_col: Int32 { unit: "byte of the line, from 0" },
    }
}

fact_table! {
    /// One row a name that is defined: types, functions, members, and variables outside functions. A node that defines
    /// several names (`a, b = 1, 2`) has several rows.
    pub struct Defs = "ts_defs", lane: Some(LaneId::Ts), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Place among the file's definitions.
        ordinal: Int32,
        /// The defining node.
        node_ordinal: Int32,
        /// Node it is a child of.
        parent_ordinal: OptInt32,
        /// Kind of the node, in the grammar's words.
        kind: Symbol,
        /// What is defined, in words shared by all languages: `function`, `method`, `constructor`, `prototype`,
        /// `class`, `struct`, `union`, `enum`, `variant`, `interface`, `trait`, `module`, `type`, `macro`, `constant`,
        /// `variable` or `field`.
        def_kind: Symbol,
        /// The name.
        name: Words,
        /// What it belongs to: the enclosing definition, the type of an `impl` or a receiver, or the qualifier in front
        /// of the name; null at the top of the file.
        container: OptWords,
        /// First byte of the name.
        name_bstart: Int32 { unit: "byte, from 0" },
        /// End of the name, exclusive.
        name_bend: Int32 { unit: "byte, from 0" },
        /// First byte.
        bstart: Int32 { unit: "byte, from 0" },
        /// End, exclusive.
        bend: Int32 { unit: "byte, from 0" },
        /// Line it starts on.
        start_line: Int32 { unit: "line, from 1" },
        /// Column it starts at.
        start_col: Int32 { unit: "byte of the line, from 0" },
        /// Line it ends on.
        end_line: Int32 { unit: "line, from 1" },
        /// Column it ends at, exclusive.
        end_col: Int32 { unit: "byte of the line, from 0" },
    }
}

fact_table! {
    /// One row a call: of functions, methods, constructors and macros.
    pub struct Calls = "ts_calls", lane: Some(LaneId::Ts), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Place among the file's calls.
        ordinal: Int32,
        /// The call.
        node_ordinal: Int32,
        /// Node it is a child of.
        parent_ordinal: OptInt32,
        /// Kind of the call, in the grammar's words.
        kind: Symbol,
        /// Kind of the node that is called.
        callee_kind: Symbol,
        /// What is called as it is written, with its receiver, cut at `max_text_bytes`.
        callee_text: Words,
        /// The node that is called; for Java's `object.name()` the name.
        callee_node_ordinal: Int32,
        /// Number of arguments; null where they are no list (macros, tagged templates).
        arg_count: OptInt32,
        /// First byte.
        bstart: Int32 { unit: "byte, from 0" },
        /// End, exclusive.
        bend: Int32 { unit: "byte, from 0" },
        /// Line it starts on.
        start_line: Int32 { unit: "line, from 1" },
        /// Column it starts at.
        start_col: Int32 { unit: "byte of the line, from 0" },
        /// Line it ends on.
        end_line: Int32 { unit: "line, from 1" },
        /// Column it ends at, exclusive.
        end_col: Int32 { unit: "byte of the line, from 0" },
    }
}

fact_table! {
    /// One row a name that is brought in from elsewhere, or one a statement that brings in a whole module.
    pub struct Imports = "ts_imports", lane: Some(LaneId::Ts), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Place among the file's imports.
        ordinal: Int32,
        /// The importing node.
        node_ordinal: Int32,
        /// Node it is a child of.
        parent_ordinal: OptInt32,
        /// `import` or `import_from` (Python), `use` or `extern_crate` (Rust), `import`, `export_from`, `require` or
        /// `dynamic_import` (JavaScript, TypeScript), `import` (Go), `import` or `import_static` (Java), `include`,
        /// `include_system`, `using` or `using_namespace` (C, C++).
        kind: Symbol,
        /// Where names come from; null where the whole is a name (Python's `import a.b`).
        module: OptWords,
        /// The name, `*` for all; null where the module is brought in as such.
        name: OptWords,
        /// Its name in this file, where another is given.
        asname: OptWords,
        /// Place in the statement, from 0.
        alias_index: Int32,
        /// Leading dots of a relative import (Python), else 0.
        level: Int32,
        /// Whether everything is brought in.
        is_wildcard: Bool,
        /// First byte of the statement.
        bstart: Int32 { unit: "byte, from 0" },
        /// End of the statement, exclusive.
        bend: Int32 { unit: "byte, from 0" },
        /// Line it starts on.
        start_line: Int32 { unit: "line, from 1" },
        /// Column it starts at.
        start_col: Int32 { unit: "byte of the line, from 0" },
        /// Line it ends on.
        end_line: Int32 { unit: "line, from 1" },
        /// Column it ends at, exclusive.
        end_col: Int32 { unit: "byte of the line, from 0" },
    }
}

fact_table! {
    /// One row a definition (or file) with documentation: a string at the head of its body, or a documentation comment.
    pub struct Docstrings = "ts_docstrings", lane: Some(LaneId::Ts), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Place among the file's documentation.
        ordinal: Int32,
        /// What is documented.
        owner_node_ordinal: Int32,
        /// Kind of that node.
        owner_kind: Symbol,
        /// Its name; null for a file.
        owner_name: OptWords,
        /// The string, or the first comment of the run.
        doc_node_ordinal: Int32,
        /// Text without quotes or comment marks, escapes as they are written, cut at `max_docstring_bytes`.
        docstring: Utf8,
        /// `string`, `line_comment` or `block_comment`.
        source: Symbol,
        /// First byte of the string or of the first comment.
        bstart: Int32 { unit: "byte, from 0" },
        /// End of the string or of the last comment, exclusive.
        bend: Int32 { unit: "byte, from 0" },
        /// Line it starts on.
        start_line: Int32 { unit: "line, from 1" },
        /// Column it starts at.
        start_col: Int32 { unit: "byte of the line, from 0" },
        /// Line it ends on.
        end_line: Int32 { unit: "line, from 1" },
        /// Column it ends at, exclusive.
        end_col: Int32 { unit: "byte of the line, from 0" },
    }
}

fact_table! {
    /// One row a file: the grammar it was read with, and what its tree is made of.
    pub struct Stats = "ts_stats", lane: Some(LaneId::Ts), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Always 0: there is one row a file.
        ordinal: Int32,
        /// Language.
        language: Symbol,
        /// Grammar.
        grammar: Symbol,
        /// Its version.
        grammar_version: Symbol,
        /// Version of the interface between grammar and parser.
        abi_version: Int32,
        /// Nodes.
        node_count: Int32 { unit: "nodes" },
        /// Named nodes.
        named_count: Int32 { unit: "nodes" },
        /// `ERROR` nodes.
        error_count: Int32 { unit: "nodes" },
        /// Missing nodes.
        missing_count: Int32 { unit: "nodes" },
        /// Extra nodes, such as comments.
        extra_count: Int32 { unit: "nodes" },
        /// Depth of the deepest node; the root's is 0.
        max_depth: Int32 { unit: "nodes" },
    }
}

/// Where a node lies.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Bytes.
    pub bytes: (u32, u32),
    /// Row and column of the start, from 0.
    pub start: (u32, u32),
    /// Row and column of the end, from 0.
    pub end: (u32, u32),
}

impl Span {
    /// Of a node.
    #[inline]
    pub fn of(node: &Node<'_>) -> Self {
        let (start, end) = (node.start_position(), node.end_position());
        Self {
            bytes: (node.start_byte() as u32, node.end_byte() as u32),
            start: (start.row as u32, start.column as u32),
            end: (end.row as u32, end.column as u32),
        }
    }
}

/// Appends a [`Span`] to the position columns of a table. Files are shorter than 2 GiB, so every position fits.
macro_rules! push_span {
    ($table:expr, $span:expr) => {{
        let span: &$crate::ts::tables::Span = &$span;
        $table.bstart.push(span.bytes.0 as i32);
        $table.bend.push(span.bytes.1 as i32);
        $table.start_line.push(span.start.0 as i32 + 1);
        $table.start_col.push(span.start.1 as i32);
        $table.end_line.push(span.end.0 as i32 + 1);
        $table.end_col.push(span.end.1 as i32);
    }};
}
pub(super) use push_span;
