//! The datasets of the `ast_*` lane.

use crate::catalog::Scope;
use crate::fact_table;
use crate::lane::LaneId;

fact_table! {
    /// The syntax tree of a Python file as CPython's `ast` module builds it, one row a node, depth first in the order
    /// of `_fields`. Contexts and operators are columns, not rows.
    pub struct AstNodes = "ast_nodes", lane: Some(LaneId::Ast), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position in the file's tree, depth first; 0 is the module.
        ordinal: Int32,
        /// Ordinal of the parent; null for the module.
        parent_ordinal: OptInt32,
        /// CPython's class.
        kind: Symbol { source: "Python.asdl" },
        /// Field of the parent that holds the node.
        field: OptSymbol { source: "Python.asdl" },
        /// Index in that field, where it is a list.
        field_index: OptInt32 { unit: "index, from 0" },
        /// Identifier the node carries: `Name.id`, `Attribute.attr`, `name` of definitions, handlers, patterns and type
        /// parameters, `arg.arg`, `alias.name`, `keyword.arg`, `ImportFrom.module`, `MatchMapping.rest`; names of
        /// `Global`, `Nonlocal` and `MatchClass.kwd_attrs` joined by commas.
        name: OptWords,
        /// Value of a `Constant` or `MatchSingleton` as `str` prints it (bytes and lone surrogates with escapes);
        /// operators of a `Compare` joined by spaces; `alias.asname`, `ImportFrom.level`, `AnnAssign.simple`,
        /// `comprehension.is_async`, `FormattedValue.conversion`, `Interpolation.str`.
        value: OptWords,
        /// Python type of a constant: `str`, `bytes`, `int`, `float`, `complex`, `bool`, `NoneType`, `ellipsis`.
        value_type: OptSymbol,
        /// Context of an expression that has one: `Load`, `Store` or `Del`.
        ctx: OptSymbol,
        /// Operator of `BoolOp`, `BinOp`, `UnaryOp` and `AugAssign`; `Interpolation.conversion`.
        op: OptSymbol,
        /// First byte of the node; null where CPython gives no position.
        bstart: OptInt32 { unit: "byte, from 0" },
        /// First byte after the node.
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

fact_table! {
    /// Docstrings of modules, classes and functions, as `ast.get_docstring(clean=False)` finds them.
    pub struct AstDocstrings = "ast_docstrings", lane: Some(LaneId::Ast), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position among the file's docstrings.
        ordinal: Int32,
        /// Node that is documented.
        owner_ordinal: Int32 { source: "ast_nodes.ordinal" },
        /// Its class.
        owner_kind: Symbol,
        /// Its name; null for the module.
        owner_name: OptWords,
        /// The text as written, cut at the limit for docstrings.
        docstring: Utf8,
        /// First byte of the literal.
        bstart: Int32 { unit: "byte, from 0" },
        /// First byte after it.
        bend: Int32 { unit: "byte, from 0" },
        /// First line.
        lineno: Int32 { unit: "line, from 1" },
        /// Column of the first byte.
        col_offset: Int32 { unit: "UTF-8 byte of the decoded line, from 0" },
        /// Last line.
        end_lineno: Int32 { unit: "line, from 1" },
        /// Column after the last byte.
        end_col_offset: Int32 { unit: "UTF-8 byte of the decoded line, from 0" },
    }
}

fact_table! {
    /// Imported names: one row an alias of an `import` or `from … import` statement.
    pub struct AstImports = "ast_imports", lane: Some(LaneId::Ast), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position among the file's imports.
        ordinal: Int32,
        /// The statement.
        node_ordinal: Int32 { source: "ast_nodes.ordinal" },
        /// Its parent.
        parent_ordinal: Int32 { source: "ast_nodes.ordinal" },
        /// `Import` or `ImportFrom`.
        kind: Symbol,
        /// Module of a `from` import; null for `import` and for `from . import`.
        module: OptWords,
        /// Imported name: a dotted module for `import`, `*` for all.
        name: Words,
        /// Name it is bound to by `as`.
        asname: OptWords,
        /// Position of the alias in the statement.
        alias_index: Int32 { unit: "index, from 0" },
        /// Leading dots of a `from` import.
        level: OptInt32,
        /// First byte of the alias.
        bstart: Int32 { unit: "byte, from 0" },
        /// First byte after it.
        bend: Int32 { unit: "byte, from 0" },
        /// First line.
        lineno: Int32 { unit: "line, from 1" },
        /// Column of the first byte.
        col_offset: Int32 { unit: "UTF-8 byte of the decoded line, from 0" },
        /// Last line.
        end_lineno: Int32 { unit: "line, from 1" },
        /// Column after the last byte.
        end_col_offset: Int32 { unit: "UTF-8 byte of the decoded line, from 0" },
    }
}

fact_table! {
    /// Definitions of functions and classes. Columns of the other kind of definition are null.
    pub struct AstDefs = "ast_defs", lane: Some(LaneId::Ast), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position among the file's definitions.
        ordinal: Int32,
        /// The statement.
        node_ordinal: Int32 { source: "ast_nodes.ordinal" },
        /// Its parent.
        parent_ordinal: Int32 { source: "ast_nodes.ordinal" },
        /// `FunctionDef`, `AsyncFunctionDef` or `ClassDef`.
        kind: Symbol,
        /// Name.
        name: Words,
        /// Whether it is `async def`.
        is_async: Bool,
        /// Decorators.
        decorator_count: Int32,
        /// Parameters that take position or name (`arguments.args`).
        arg_count: OptInt32,
        /// Parameters before `/`.
        posonly_count: OptInt32,
        /// Parameters after `*`.
        kwonly_count: OptInt32,
        /// Whether there is `*args`.
        has_vararg: OptBool,
        /// Whether there is `**kwargs`.
        has_kwarg: OptBool,
        /// Type parameters.
        type_params_count: Int32,
        /// Base classes.
        base_count: OptInt32,
        /// Keywords of a class, `metaclass=` among them.
        keyword_count: OptInt32,
        /// Source of the decorators without `@`, as a JSON list; null without any.
        decorator_sources: OptUtf8,
        /// Source of the defaults, in the order of the parameters, as a JSON list; null without any.
        default_sources: OptUtf8,
        /// Source of the parameters' annotations, in their order, as a JSON list; null without any.
        annotation_sources: OptUtf8,
        /// Source of the base classes, as a JSON list; null without any.
        base_sources: OptUtf8,
        /// Source of the return annotation.
        returns_source: OptWords,
        /// First byte, at `def`, `async` or `class`.
        bstart: Int32 { unit: "byte, from 0" },
        /// First byte after the body.
        bend: Int32 { unit: "byte, from 0" },
        /// First line.
        lineno: Int32 { unit: "line, from 1" },
        /// Column of the first byte.
        col_offset: Int32 { unit: "UTF-8 byte of the decoded line, from 0" },
        /// Last line.
        end_lineno: Int32 { unit: "line, from 1" },
        /// Column after the last byte.
        end_col_offset: Int32 { unit: "UTF-8 byte of the decoded line, from 0" },
    }
}

fact_table! {
    /// Calls.
    pub struct AstCalls = "ast_calls", lane: Some(LaneId::Ast), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position among the file's calls.
        ordinal: Int32,
        /// The call.
        node_ordinal: Int32 { source: "ast_nodes.ordinal" },
        /// Its parent.
        parent_ordinal: Int32 { source: "ast_nodes.ordinal" },
        /// Class of what is called: `Name`, `Attribute`, `Call`, ….
        func_kind: Symbol,
        /// Dotted name of what is called, where it is one.
        func_name: OptWords,
        /// Positional arguments, those with `*` among them.
        arg_count: Int32,
        /// Keyword arguments, those with `**` among them.
        keyword_count: Int32,
        /// Arguments with `*`.
        starred_count: Int32,
        /// Arguments with `**`.
        kw_star_count: Int32,
        /// First byte.
        bstart: Int32 { unit: "byte, from 0" },
        /// First byte after it.
        bend: Int32 { unit: "byte, from 0" },
        /// First line.
        lineno: Int32 { unit: "line, from 1" },
        /// Column of the first byte.
        col_offset: Int32 { unit: "UTF-8 byte of the decoded line, from 0" },
        /// Last line.
        end_lineno: Int32 { unit: "line, from 1" },
        /// Column after the last byte.
        end_col_offset: Int32 { unit: "UTF-8 byte of the decoded line, from 0" },
    }
}

fact_table! {
    /// `# type: ignore` comments, as `ast.parse(type_comments=True)` finds them.
    pub struct AstTypeIgnores = "ast_type_ignores", lane: Some(LaneId::Ast), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position among the file's comments of this kind.
        ordinal: Int32,
        /// Line.
        lineno: Int32 { unit: "line, from 1" },
        /// What follows `ignore`; as CPython 3.12 and newer have it, with the end of the line where the comment is alone on it.
        tag: Utf8,
        /// First byte of the comment.
        bstart: Int32 { unit: "byte, from 0" },
    }
}

fact_table! {
    /// Files that CPython would refuse: one row a file, with the first error. Such a file has no rows in the other
    /// tables.
    pub struct AstErrors = "ast_errors", lane: Some(LaneId::Ast), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position among the file's errors.
        ordinal: Int32,
        /// CPython's exception: `SyntaxError`, `IndentationError`, `RecursionError`, ….
        error_type: Symbol,
        /// What is wrong, in the parser's words.
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
