//! The datasets of the `cst_*` lane.

use crate::catalog::Scope;
use crate::fact_table;
use crate::lane::LaneId;

fact_table! {
    /// Python files that parse: one row a file, with what LibCST's `Module` says of its form.
    pub struct CstParseManifest = "cst_parse_manifest", lane: Some(LaneId::Cst), scope: Scope::File, key: ["file_id"], default: true {
        /// Encoding by byte order mark and cookie: `utf-8`, `utf-8-sig`, `iso-8859-1`, or the name in the cookie.
        encoding: Utf8 { source: "tokenize.detect_encoding" },
        /// First indentation of the file; four blanks without any.
        default_indent: Utf8,
        /// End of the first line; `\n` without any.
        default_newline: Utf8,
        /// Whether the file ends with a line feed that no backslash joins to what follows.
        has_trailing_newline: Bool,
        /// Names imported from `__future__`, in the order of the source.
        future_imports: Utf8List,
        /// Name of the module, from its path below the package root.
        module_name: Utf8 { source: "libcst.helpers.calculate_module_and_package" },
        /// Name of the package that its relative imports start from.
        package_name: Utf8 { source: "libcst.helpers.calculate_module_and_package" },
        /// Version of LibCST whose rules the rows follow.
        libcst_version: Symbol,
        /// Parser that read the file.
        parser_backend: Symbol,
        /// Version of Python whose grammar and builtins count.
        parsed_python_version: Utf8,
    }
}

fact_table! {
    /// Python files that don't parse: one row a file, with the first error. Such a file has no rows in the other tables.
    pub struct CstParseErrors = "cst_parse_errors", lane: Some(LaneId::Cst), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position among the file's errors.
        ordinal: Int32,
        /// LibCST's exception: `ParserSyntaxError`; where the bytes give no text or the tree is too deep, CPython's.
        error_type: Symbol,
        /// What is wrong, in the parser's words.
        message: Utf8,
        /// Line concerned; null where there is no one place.
        raw_line: OptInt32 { unit: "line, from 1" },
        /// Column concerned.
        raw_column: OptInt32 { unit: "character, from 0" },
        /// Line as editors count it.
        editor_line: OptInt32 { unit: "line, from 1" },
        /// Column as editors count it, a tab as one.
        editor_column: OptInt32 { unit: "character, from 1" },
        /// The line, and below it a mark at the column.
        context: OptUtf8,
        /// First byte concerned.
        bstart: OptInt32 { unit: "byte, from 0" },
        /// First byte after it.
        bend: OptInt32 { unit: "byte, from 0" },
    }
}

fact_table! {
    /// References: one row a `Name` or `Attribute` node of LibCST's tree, in the order of the source, the longer first.
    /// `None`, `True` and `False` are names; the name behind a dot is not a row of its own.
    pub struct CstRefs = "cst_refs", lane: Some(LaneId::Cst), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position among the file's references.
        ordinal: Int32,
        /// `name` or `attribute`.
        ref_kind: Symbol,
        /// The name as it stands; of an attribute its dotted name, where calls and subscripts count as what they are of
        /// and anything else without a name is `None`.
        ref_text: Utf8 { source: "libcst.helpers.get_full_name_for_node" },
        /// `LOAD`, `STORE` or `DEL`; null where LibCST gives no context: in type parameters of definitions.
        expr_ctx: OptSymbol { source: "libcst.metadata.ExpressionContextProvider" },
        /// Class of the scope: `GlobalScope`, `FunctionScope`, `ClassScope`, `ComprehensionScope`, `AnnotationScope`.
        /// Null where LibCST gives none: in imports, `global` and `nonlocal`, names of keyword arguments and of type
        /// parameters.
        scope_type: OptSymbol { source: "libcst.metadata.ScopeProvider" },
        /// Name of the function or class whose scope it is.
        scope_name: OptUtf8 { source: "libcst.metadata.ScopeProvider" },
        /// Class of the parent node.
        parent_kind: Symbol { source: "libcst.metadata.ParentNodeProvider" },
        /// Qualified names the node can stand for, in order.
        qnames: Utf8List { source: "libcst.metadata.QualifiedNameProvider" },
        /// Source of each: `import`, `builtin` or `local`.
        qname_sources: Utf8List { source: "libcst.metadata.QualifiedNameProvider" },
        /// First byte, without parentheses around the node.
        bstart: Int32 { unit: "byte, from 0", source: "libcst.metadata.ByteSpanPositionProvider" },
        /// First byte after it.
        bend: Int32 { unit: "byte, from 0" },
    }
}

fact_table! {
    /// Imported names: one row a name of an `import` or `from … import` statement.
    pub struct CstImports = "cst_imports", lane: Some(LaneId::Cst), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position among the file's imports.
        ordinal: Int32,
        /// `import` or `importfrom`.
        kind: Symbol,
        /// Module of a `from` import, without its dots; null for `import` and for `from . import`.
        module: OptUtf8,
        /// Leading dots of a `from` import; 0 for `import`.
        relative_level: Int32,
        /// Imported name: a dotted module for `import`, `*` for all.
        name: Utf8,
        /// Name it is bound to by `as`.
        asname: OptUtf8,
        /// Whether it is `*`.
        is_star: Bool,
        /// First byte of the statement.
        stmt_bstart: Int32 { unit: "byte, from 0" },
        /// First byte after the statement.
        stmt_bend: Int32 { unit: "byte, from 0" },
        /// First byte of the name with its `as`.
        alias_bstart: Int32 { unit: "byte, from 0" },
        /// First byte after it.
        alias_bend: Int32 { unit: "byte, from 0" },
    }
}

fact_table! {
    /// Calls, in the order of the source, the longer first.
    pub struct CstCallsites = "cst_callsites", lane: Some(LaneId::Cst), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position among the file's calls.
        ordinal: Int32,
        /// First byte of the call.
        call_bstart: Int32 { unit: "byte, from 0" },
        /// First byte after the call.
        call_bend: Int32 { unit: "byte, from 0" },
        /// First byte of what is called.
        callee_bstart: Int32 { unit: "byte, from 0" },
        /// First byte after it.
        callee_bend: Int32 { unit: "byte, from 0" },
        /// What is called: `NAME` (`f()`), `ATTRIBUTE` (`a.f()`), `SUBSCRIPT` (`a[0]()`), `OTHER`.
        callee_shape: Symbol,
        /// Source of what is called, its parentheses included, cut at the limit for expressions.
        callee_text: Utf8,
        /// Arguments.
        arg_count: Int32,
        /// Dotted name of what is called; null where LibCST finds none.
        callee_dotted: OptUtf8 { source: "libcst.helpers.get_full_name_for_node" },
        /// Qualified names of what is called, in order; without any, those of the call.
        callee_qnames: Utf8List { source: "libcst.metadata.QualifiedNameProvider" },
        /// Source of each: `import`, `builtin` or `local`.
        callee_qname_sources: Utf8List { source: "libcst.metadata.QualifiedNameProvider" },
        /// Fully qualified names, in order, each once. A relative import that reaches beyond the top has none.
        callee_fqns: Utf8List { source: "libcst.metadata.FullyQualifiedNameProvider" },
    }
}

fact_table! {
    /// Definitions of functions and classes.
    pub struct CstDefs = "cst_defs", lane: Some(LaneId::Cst), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position among the file's definitions.
        ordinal: Int32,
        /// Definition around it; null at the top.
        container_def_ordinal: OptInt32 { source: "cst_defs.ordinal" },
        /// Its kind.
        container_def_kind: OptSymbol,
        /// Its first byte.
        container_def_bstart: OptInt32 { unit: "byte, from 0" },
        /// First byte after it.
        container_def_bend: OptInt32 { unit: "byte, from 0" },
        /// `function`, `async_function` or `class`.
        kind: Symbol,
        /// Name.
        name: Utf8,
        /// First byte, at `def`, `async` or `class`.
        def_bstart: Int32 { unit: "byte, from 0" },
        /// First byte after the last statement.
        def_bend: Int32 { unit: "byte, from 0" },
        /// First byte of the name.
        name_bstart: Int32 { unit: "byte, from 0" },
        /// First byte after the name.
        name_bend: Int32 { unit: "byte, from 0" },
        /// Qualified names, in order.
        qnames: Utf8List { source: "libcst.metadata.QualifiedNameProvider" },
        /// Source of each: `import`, `builtin` or `local`.
        qname_sources: Utf8List { source: "libcst.metadata.QualifiedNameProvider" },
        /// Fully qualified names, in order.
        def_fqns: Utf8List { source: "libcst.metadata.FullyQualifiedNameProvider" },
        /// Docstring without its indentation, cut at the limit for docstrings.
        docstring: OptUtf8 { source: "get_docstring" },
        /// Decorators.
        decorator_count: Int32,
    }
}

fact_table! {
    /// Annotations of parameters, results and variables.
    pub struct CstTypeExprs = "cst_type_exprs", lane: Some(LaneId::Cst), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position among the file's annotations.
        ordinal: Int32,
        /// The function, or the innermost definition around a variable; null at the top.
        owner_def_ordinal: OptInt32 { source: "cst_defs.ordinal" },
        /// Its kind.
        owner_def_kind: OptSymbol,
        /// Its first byte.
        owner_def_bstart: OptInt32 { unit: "byte, from 0" },
        /// First byte after it.
        owner_def_bend: OptInt32 { unit: "byte, from 0" },
        /// The parameter.
        param_name: OptUtf8,
        /// Always `annotation`.
        expr_kind: Symbol,
        /// What is annotated: `param`, `return` or `variable`.
        expr_role: Symbol,
        /// First byte of the expression, without parentheses around it.
        bstart: Int32 { unit: "byte, from 0" },
        /// First byte after it.
        bend: Int32 { unit: "byte, from 0" },
        /// Source of the expression, its parentheses included, cut at the limit for expressions.
        expr_text: Utf8,
    }
}

fact_table! {
    /// Docstrings of modules, classes and functions.
    pub struct CstDocstrings = "cst_docstrings", lane: Some(LaneId::Cst), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position among the file's docstrings.
        ordinal: Int32,
        /// Definition that is documented; null for the module.
        owner_def_ordinal: OptInt32 { source: "cst_defs.ordinal" },
        /// `module`, `function`, `async_function` or `class`.
        owner_kind: Symbol,
        /// First byte of the definition.
        owner_def_bstart: OptInt32 { unit: "byte, from 0" },
        /// First byte after it.
        owner_def_bend: OptInt32 { unit: "byte, from 0" },
        /// The text without its indentation, cut at the limit for docstrings.
        docstring: Utf8 { source: "get_docstring" },
        /// First byte of the literal.
        bstart: Int32 { unit: "byte, from 0" },
        /// First byte after it.
        bend: Int32 { unit: "byte, from 0" },
    }
}

fact_table! {
    /// Decorators of functions and classes.
    pub struct CstDecorators = "cst_decorators", lane: Some(LaneId::Cst), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position among the file's decorators.
        ordinal: Int32,
        /// Definition that is decorated.
        owner_def_ordinal: Int32 { source: "cst_defs.ordinal" },
        /// Its kind.
        owner_kind: Symbol,
        /// Its first byte.
        owner_def_bstart: Int32 { unit: "byte, from 0" },
        /// First byte after it.
        owner_def_bend: Int32 { unit: "byte, from 0" },
        /// Source of the expression behind `@`, cut at the limit for expressions.
        decorator_text: Utf8,
        /// Position among the definition's decorators.
        decorator_index: Int32 { unit: "index, from 0" },
        /// First byte, at `@`.
        bstart: Int32 { unit: "byte, from 0" },
        /// First byte after the expression.
        bend: Int32 { unit: "byte, from 0" },
    }
}

fact_table! {
    /// Arguments of calls.
    pub struct CstCallArgs = "cst_call_args", lane: Some(LaneId::Cst), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position among the file's arguments.
        ordinal: Int32,
        /// The call.
        call_ordinal: Int32 { source: "cst_callsites.ordinal" },
        /// First byte of the call.
        call_bstart: Int32 { unit: "byte, from 0" },
        /// First byte after the call.
        call_bend: Int32 { unit: "byte, from 0" },
        /// Position in the call.
        arg_index: Int32 { unit: "index, from 0" },
        /// Name of a keyword argument.
        keyword: OptUtf8,
        /// `*`, `**` or empty.
        star: Symbol,
        /// Source of the value, its parentheses included, cut at the limit for expressions.
        arg_text: Utf8,
        /// First byte of the value, without parentheses around it.
        bstart: Int32 { unit: "byte, from 0" },
        /// First byte after it.
        bend: Int32 { unit: "byte, from 0" },
    }
}

fact_table! {
    /// LibCST's tree, one row a node, parents before children, in the order of the source. `parent_ordinal`, `slot` and
    /// `slot_index` are the edge to the parent. Nodes of whitespace, line ends and comments are not rows: what a node owns
    /// of them is between its two spans.
    pub struct CstNodes = "cst_nodes", lane: Some(LaneId::Cst), scope: Scope::File, key: ["file_id", "ordinal"], default: false {
        /// Position in the file's tree; 0 is the module.
        ordinal: Int32,
        /// Ordinal of the parent; null for the module.
        parent_ordinal: OptInt32 { source: "libcst.metadata.ParentNodeProvider" },
        /// LibCST's class.
        kind: Symbol { source: "libcst._nodes" },
        /// Field of the parent that holds the node.
        slot: OptSymbol,
        /// Index in that field, where it is a list.
        slot_index: OptInt32 { unit: "index, from 0" },
        /// First byte, without whitespace and parentheses.
        bstart: Int32 { unit: "byte, from 0", source: "libcst.metadata.ByteSpanPositionProvider" },
        /// First byte after it.
        bend: Int32 { unit: "byte, from 0" },
        /// First byte with the whitespace, comments and parentheses that the node owns.
        owned_bstart: Int32 { unit: "byte, from 0", source: "libcst.metadata.WhitespaceInclusivePositionProvider" },
        /// First byte after them.
        owned_bend: Int32 { unit: "byte, from 0" },
    }
}

fact_table! {
    /// What each call may call: one row a call and fully qualified name.
    pub struct CallsiteQnameCandidates = "callsite_qname_candidates", lane: Some(LaneId::Cst), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
        /// Position among the file's candidates.
        ordinal: Int32,
        /// The call.
        call_ordinal: Int32 { source: "cst_callsites.ordinal" },
        /// Fully qualified name.
        qname: Utf8 { source: "libcst.metadata.FullyQualifiedNameProvider" },
        /// Where it comes from: `import`, `builtin` or `local`.
        qname_source: Symbol,
        /// First byte of the call.
        call_bstart: Int32 { unit: "byte, from 0" },
        /// First byte after the call.
        call_bend: Int32 { unit: "byte, from 0" },
        /// Arguments.
        arg_count: Int32,
        /// Arguments with a name.
        keyword_count: Int32,
        /// Arguments with `*`.
        star_arg_count: Int32,
        /// Arguments with `**`.
        star_kwarg_count: Int32,
        /// Arguments without name and star.
        positional_count: Int32,
    }
}
