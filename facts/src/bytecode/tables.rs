//! The datasets of the `bytecode_*` lane.

use crate::catalog::Scope;
use crate::fact_table;
use crate::lane::LaneId;

fact_table! {
    /// Code objects: a module and what is compiled with it, one row each and interpreter, outer before inner.
    pub struct BytecodeCodeUnits = "bytecode_code_units", lane: Some(LaneId::Bytecode), scope: Scope::File, key: ["file_id", "ordinal"], default: false {
        /// Position among the file's code objects, those of all interpreters.
        ordinal: Int32,
        /// Version of the interpreter that compiled it.
        python_version: Symbol,
        /// The code object whose constant it is; null for a module.
        parent_ordinal: OptInt32 { source: "bytecode_code_units.ordinal" },
        /// Index of that constant.
        parent_const_index: OptInt32 { unit: "index, from 0" },
        /// Names of the code objects around it and its own, below the module, joined by dots.
        qualname: Utf8,
        /// Qualified name as the interpreter has it; null before 3.11.
        co_qualname: OptUtf8,
        /// File that was compiled: the path in the repository.
        co_filename: Words,
        /// Name.
        name: Words,
        /// First line.
        firstlineno: Int32 { unit: "line, from 1" },
        /// Parameters that take a position, without `*args`.
        argcount: Int32,
        /// Parameters that take a position alone.
        posonlyargcount: Int32,
        /// Parameters that take a name alone.
        kwonlyargcount: Int32,
        /// Local variables.
        nlocals: Int32,
        /// Values the stack must have room for.
        stacksize: Int32,
        /// Flags.
        flags: Int32 { source: "CPython's Include/cpython/code.h" },
        /// Whether locals live in slots.
        is_optimized: Bool { source: "CO_OPTIMIZED" },
        /// Whether it has a namespace of its own.
        is_newlocals: Bool { source: "CO_NEWLOCALS" },
        /// Whether it takes `*args`.
        has_varargs: Bool { source: "CO_VARARGS" },
        /// Whether it takes `**kwargs`.
        has_varkeywords: Bool { source: "CO_VARKEYWORDS" },
        /// Whether it is nested in a function.
        is_nested: Bool { source: "CO_NESTED" },
        /// Whether it is a generator.
        is_generator: Bool { source: "CO_GENERATOR" },
        /// Whether it has no free variables and cells; not set from 3.11 on.
        is_nofree: Bool { source: "CO_NOFREE" },
        /// Whether it is a coroutine.
        is_coroutine: Bool { source: "CO_COROUTINE" },
        /// Whether it is a generator that can be awaited.
        is_iterable_coroutine: Bool { source: "CO_ITERABLE_COROUTINE" },
        /// Whether it is an asynchronous generator.
        is_async_generator: Bool { source: "CO_ASYNC_GENERATOR" },
        /// Length of the code.
        code_len: Int32 { unit: "byte" },
        /// Names of globals and attributes.
        names: Utf8List,
        /// Names of local variables, parameters first.
        varnames: Utf8List,
        /// Names of variables of functions around it.
        freevars: Utf8List,
        /// Names of variables that functions in it use.
        cellvars: Utf8List,
    }
}

fact_table! {
    /// Instructions as `dis.get_instructions` tells them; caches are part of the instruction they follow.
    pub struct BytecodeInstructions = "bytecode_instructions", lane: Some(LaneId::Bytecode), scope: Scope::File, key: ["file_id", "ordinal"], default: false {
        /// Position among the file's instructions.
        ordinal: Int32,
        /// Version of the interpreter that compiled it.
        python_version: Symbol,
        /// The code object.
        code_ordinal: Int32 { source: "bytecode_code_units.ordinal" },
        /// Position in the code object, `EXTENDED_ARG` counted, caches not.
        instr_index: Int32 { unit: "index, from 0" },
        /// Offset in the code.
        offset: Int32 { unit: "byte, from 0" },
        /// Offset of the first `EXTENDED_ARG` that belongs to it, else its own.
        start_offset: Int32 { unit: "byte, from 0" },
        /// Offset after it and its caches.
        end_offset: Int32 { unit: "byte, from 0" },
        /// Name.
        opname: Symbol { source: "opcode.opmap" },
        /// Number; it means something else in each version.
        opcode: Int32 { source: "opcode.opmap" },
        /// Argument, with those of `EXTENDED_ARG`; null where there is none.
        arg: OptInt32,
        /// What the argument stands for: `int`, `const`, `name`, `local`, `free`, `jump`, `compare`, `conversion`;
        /// `unresolved` where `dis` does not look.
        argval_kind: OptSymbol,
        /// The number or the offset of the target; for a `conversion` of `FORMAT_VALUE` 1 if a specification follows.
        argval_int: OptInt64,
        /// The name, two names joined by a comma, the comparison or the conversion.
        argval_str: OptWords,
        /// The argument as `dis` prints it. Code objects are without their address, items of frozen sets sorted by
        /// their texts, and integers too long for Python to print are in hexadecimal.
        argrepr: Words,
        /// Line it comes from; null where it comes from none.
        line_number: OptInt32 { unit: "line, from 1" },
        /// Whether a line starts here.
        starts_line: Bool { source: "dis.findlinestarts" },
        /// Number of the label, if something jumps here: from 1, in the order of offsets.
        label: OptInt32 { source: "dis.findlabels" },
        /// Whether something jumps here.
        is_jump_target: Bool { source: "dis.findlabels" },
        /// Offset it can jump to.
        jump_target: OptInt32 { unit: "byte, from 0" },
        /// Caches that follow: names and their sizes in units of two bytes; null without any.
        cache_info: OptSymbol { source: "opcode._cache_format" },
        /// Content of the caches in hexadecimal; null while it is zero, as it is in code that never ran.
        cache_hex: OptUtf8,
        /// First byte of the source it comes from; null where the version has no columns.
        bstart: OptInt32 { unit: "byte, from 0" },
        /// First byte after it.
        bend: OptInt32 { unit: "byte, from 0" },
        /// First line.
        lineno: OptInt32 { unit: "line, from 1", source: "co_positions" },
        /// Column of the first byte.
        col_offset: OptInt32 { unit: "UTF-8 byte of the decoded line, from 0", source: "co_positions" },
        /// Last line.
        end_lineno: OptInt32 { unit: "line, from 1", source: "co_positions" },
        /// Column after the last byte.
        end_col_offset: OptInt32 { unit: "UTF-8 byte of the decoded line, from 0", source: "co_positions" },
    }
}

fact_table! {
    /// Constants of code objects.
    pub struct BytecodeConsts = "bytecode_consts", lane: Some(LaneId::Bytecode), scope: Scope::File, key: ["file_id", "ordinal"], default: false {
        /// Position among the file's constants.
        ordinal: Int32,
        /// Version of the interpreter that compiled it.
        python_version: Symbol,
        /// The code object.
        code_ordinal: Int32 { source: "bytecode_code_units.ordinal" },
        /// Index in `co_consts`.
        const_index: Int32 { unit: "index, from 0" },
        /// Python type: `str`, `bytes`, `int`, `float`, `complex`, `bool`, `NoneType`, `ellipsis`, `tuple`,
        /// `frozenset`, `slice`, `code`.
        const_type: Symbol,
        /// As `repr` prints it; see `bytecode_instructions.argrepr` for what is written another way.
        const_repr: Utf8,
        /// The code object that the constant is.
        child_ordinal: OptInt32 { source: "bytecode_code_units.ordinal" },
    }
}

fact_table! {
    /// Ranges of instructions that come from one line, as `co_lines` tells them (up to 3.9: `dis.findlinestarts`).
    pub struct BytecodeLineTable = "bytecode_line_table", lane: Some(LaneId::Bytecode), scope: Scope::File, key: ["file_id", "ordinal"], default: false {
        /// Position among the file's ranges.
        ordinal: Int32,
        /// Version of the interpreter that compiled it.
        python_version: Symbol,
        /// The code object.
        code_ordinal: Int32 { source: "bytecode_code_units.ordinal" },
        /// First offset.
        start_offset: Int32 { unit: "byte, from 0" },
        /// First offset after the range.
        end_offset: Int32 { unit: "byte, from 0" },
        /// The line; null for instructions that come from none.
        line_number: OptInt32 { unit: "line, from 1" },
    }
}

fact_table! {
    /// Exception tables of 3.11 and later: which handler takes what is raised where.
    pub struct BytecodeExceptionTable = "bytecode_exception_table", lane: Some(LaneId::Bytecode), scope: Scope::File, key: ["file_id", "ordinal"], default: false {
        /// Position among the file's entries.
        ordinal: Int32,
        /// Version of the interpreter that compiled it.
        python_version: Symbol,
        /// The code object.
        code_ordinal: Int32 { source: "bytecode_code_units.ordinal" },
        /// Position in the code object's table.
        exc_index: Int32 { unit: "index, from 0" },
        /// First offset covered.
        start_offset: Int32 { unit: "byte, from 0" },
        /// First offset after them.
        end_offset: Int32 { unit: "byte, from 0" },
        /// Offset of the handler.
        target_offset: Int32 { unit: "byte, from 0" },
        /// Values that stay on the stack.
        depth: Int32,
        /// Whether the offset of the instruction that raised is pushed.
        lasti: Bool,
    }
}

fact_table! {
    /// Basic blocks: runs of instructions that control enters at the first and leaves at the last alone.
    pub struct BytecodeBlocks = "bytecode_blocks", lane: Some(LaneId::Bytecode), scope: Scope::File, key: ["file_id", "ordinal"], default: false {
        /// Position among the file's blocks.
        ordinal: Int32,
        /// Version of the interpreter that compiled it.
        python_version: Symbol,
        /// The code object.
        code_ordinal: Int32 { source: "bytecode_code_units.ordinal" },
        /// Position in the code object.
        block_index: Int32 { unit: "index, from 0" },
        /// Offset of the first instruction, of its `EXTENDED_ARG` if it has any.
        start_offset: Int32 { unit: "byte, from 0" },
        /// Offset after the last instruction.
        end_offset: Int32 { unit: "byte, from 0" },
        /// How control gets there: `entry`, `handler`, `jump`, else `normal`.
        kind: Symbol,
        /// Whether control can get there at all.
        is_reachable: Bool,
        /// Values on the stack where it starts; null if control can't get there.
        stack_depth: OptInt32,
    }
}

fact_table! {
    /// Edges of the control-flow graph.
    pub struct BytecodeCfgEdges = "bytecode_cfg_edges", lane: Some(LaneId::Bytecode), scope: Scope::File, key: ["file_id", "ordinal"], default: false {
        /// Position among the file's edges.
        ordinal: Int32,
        /// Version of the interpreter that compiled it.
        python_version: Symbol,
        /// The code object.
        code_ordinal: Int32 { source: "bytecode_code_units.ordinal" },
        /// Block that control leaves.
        src_block_index: Int32 { source: "bytecode_blocks.block_index" },
        /// Block that it enters.
        dst_block_index: Int32 { source: "bytecode_blocks.block_index" },
        /// `normal` to the block that follows, `jump` to a target, `exception` to a handler.
        kind: Symbol,
        /// The instruction that decides between this edge and another.
        cond_instr_index: OptInt32 { source: "bytecode_instructions.instr_index" },
        /// Its offset.
        cond_instr_offset: OptInt32 { unit: "byte, from 0" },
        /// Entry of the exception table that makes the edge; null before 3.11.
        exc_index: OptInt32 { source: "bytecode_exception_table.exc_index" },
    }
}

fact_table! {
    /// Which instruction may use a value that another one made: over the stack, and over local variables.
    ///
    /// Instructions that only move values on the stack (`SWAP`, `ROT_TWO`, …) make and use none. What an exception
    /// puts on the stack is made by no instruction; up to 3.10 by the `SETUP_…` that set its handler up. Nor are
    /// parameters made by any.
    pub struct BytecodeDfgEdges = "bytecode_dfg_edges", lane: Some(LaneId::Bytecode), scope: Scope::File, key: ["file_id", "ordinal"], default: false {
        /// Position among the file's edges.
        ordinal: Int32,
        /// Version of the interpreter that compiled it.
        python_version: Symbol,
        /// The code object.
        code_ordinal: Int32 { source: "bytecode_code_units.ordinal" },
        /// The instruction that makes the value.
        src_instr_index: Int32 { source: "bytecode_instructions.instr_index" },
        /// The instruction that uses it.
        dst_instr_index: Int32 { source: "bytecode_instructions.instr_index" },
        /// `stack` or `local`.
        kind: Symbol,
        /// The local variable.
        variable: OptWords,
    }
}

fact_table! {
    /// Files that an interpreter refuses to compile, one row an interpreter. They have no other rows of it.
    pub struct BytecodeErrors = "bytecode_errors", lane: Some(LaneId::Bytecode), scope: Scope::File, key: ["file_id", "ordinal"], default: false {
        /// Position among the file's errors.
        ordinal: Int32,
        /// Version of the interpreter.
        python_version: Symbol,
        /// Where it failed: `compile`, or `decode` for code that Lode can't read.
        stage: Symbol,
        /// The exception: `SyntaxError`, `IndentationError`, `ValueError`, `RecursionError`, ….
        error_type: Utf8,
        /// What it says.
        message: Utf8,
        /// Line the exception names.
        lineno: OptInt32 { unit: "line, from 1" },
        /// Column the exception names.
        col_offset: OptInt32 { unit: "character, from 0" },
        /// Last line the exception names; null before 3.10.
        end_lineno: OptInt32 { unit: "line, from 1" },
        /// Column after the last character it names.
        end_col_offset: OptInt32 { unit: "character, from 0" },
    }
}
