"""What the references of the Python lanes do with files, as JSON: one core, CPU time.

usage: references.py ast|symtable|dis|libcst ROOT <PATHS    rows that Lode's tables have, made by CPython or LibCST

With `compile` it serves instead: each request is the size of a source and the source; each answer the size of the
marshalled code, the code and the nanoseconds of CPU time that it took; no code where the source is refused.
"""

import json
import sys
import time


def line_starts(content):
    """Offsets of the first byte of each line, of content in UTF-8."""
    starts, at = [0], 0
    for line in content.splitlines(keepends=True):
        at += len(line)
        starts.append(at)
    return starts


def ast_rows(content, path, root):
    """A row a node with the columns of `ast_nodes`."""
    import ast

    starts = line_starts(content)
    rows, todo = [], [(ast.parse(content, type_comments=True), None, None, None)]
    while todo:
        node, parent, field, index = todo.pop()
        ordinal = len(rows)
        name = value = value_type = ctx = op = None
        inner = []
        for child_field in node._fields:
            child = getattr(node, child_field, None)
            if isinstance(child, ast.AST):
                if isinstance(child, ast.expr_context):
                    ctx = type(child).__name__
                elif isinstance(child, (ast.operator, ast.unaryop, ast.boolop)):
                    op = type(child).__name__
                else:
                    inner.append((child, ordinal, child_field, None))
            elif isinstance(child, list):
                for i, item in enumerate(child):
                    if isinstance(item, ast.cmpop):
                        value = f"{value} {type(item).__name__}" if value else type(item).__name__
                    elif isinstance(item, ast.AST):
                        inner.append((item, ordinal, child_field, i))
            elif child_field == "value" and isinstance(node, ast.Constant):
                value, value_type = str(child), type(child).__name__
            elif isinstance(child, str):
                name = child
            elif child is not None:
                value = str(child)
        todo.extend(reversed(inner))
        end_lineno = getattr(node, "end_lineno", None)
        if end_lineno is None:
            place = (None, None, None, None, None, None)
        else:
            lineno, column, end_column = node.lineno, node.col_offset, node.end_col_offset
            bstart, bend = starts[lineno - 1] + column, starts[end_lineno - 1] + end_column
            place = (bstart, bend, lineno, column, end_lineno, end_column)
        rows.append((ordinal, parent, type(node).__name__, field, index, name, value, value_type, ctx, op, *place))
    return len(rows)


METHODS = (
    "is_referenced", "is_imported", "is_parameter", "is_global", "is_nonlocal", "is_declared_global", "is_local",
    "is_annotated", "is_free", "is_assigned", "is_namespace",
)


def symtable_rows(content, path, root):
    """A row a scope, a symbol and a member of a partition: what `symtable_*` has."""
    import symtable

    rows, todo = 0, [symtable.symtable(content, "f", "exec")]
    while todo:
        table = todo.pop()
        todo.extend(table.get_children())
        table.get_type(), table.get_name(), table.get_lineno(), table.is_nested(), table.is_optimized()
        rows += 1
        for symbol in table.get_symbols():
            (symbol.get_name(), *[getattr(symbol, method)() for method in METHODS], symbol.get_namespaces())
            rows += 1
        if isinstance(table, symtable.Function):
            for members in ("parameters", "locals", "globals", "nonlocals", "frees"):
                rows += len(getattr(table, f"get_{members}")())
        if isinstance(table, symtable.Class):
            rows += len(table.get_methods())
    return rows


LATER = ("line_number", "start_offset", "end_offset", "label", "jump_target", "cache_info")
LISTS = ("co_names", "co_varnames", "co_freevars", "co_cellvars")
UNITS = (
    "co_filename", "co_name", "co_firstlineno", "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_nlocals",
    "co_stacksize", "co_flags", *LISTS,
)


def dis_rows(content, path, root):
    """A row a code object, an instruction, a range of lines, an entry of the exception table and a constant, with those
    columns of `bytecode_*` that the interpreter has."""
    import dis

    later = [name for name in LATER if hasattr(dis.Instruction, name)]
    starts = line_starts(content)
    rows, todo = [], [compile(content, "f", "exec", dont_inherit=True)]
    while todo:
        code = todo.pop()
        rows.append([getattr(code, name) for name in UNITS])
        for index, i in enumerate(dis.get_instructions(code)):
            line, end_line, column, end_column = getattr(i, "positions", None) or (None, None, None, None)
            bstart = bend = None
            if column is not None and end_column is not None:
                bstart, bend = starts[line - 1] + column, starts[end_line - 1] + end_column
            rows.append((
                index, i.opname, i.opcode, i.arg, i.argval, i.argrepr, i.offset, i.starts_line, i.is_jump_target,
                *[getattr(i, name) for name in later], line, end_line, column, end_column, bstart, bend,
            ))
        if hasattr(code, "co_lines"):
            rows.extend(code.co_lines())
        if hasattr(dis, "_parse_exception_table"):
            rows.extend(dis._parse_exception_table(code))
        for index, value in enumerate(code.co_consts):
            rows.append((index, type(value).__name__, repr(value)))
            if hasattr(value, "co_code"):
                todo.append(value)
    return len(rows)


def libcst_rows(content, path, root):
    """The providers that `cst_*` equals; qualified names are lazy, a reader asks for those of names and calls."""
    import libcst as cst
    from libcst import helpers, metadata

    providers = {
        metadata.ByteSpanPositionProvider, metadata.ExpressionContextProvider, metadata.FullyQualifiedNameProvider,
        metadata.ParentNodeProvider, metadata.QualifiedNameProvider, metadata.ScopeProvider,
    }
    names = helpers.calculate_module_and_package(root, path)
    wrapper = metadata.MetadataWrapper(
        cst.parse_module(content), unsafe_skip_copy=True, cache={metadata.FullyQualifiedNameProvider: names}
    )
    try:
        resolved = wrapper.resolve_many(providers)
    except ImportError:
        resolved = wrapper.resolve_many(providers - {metadata.FullyQualifiedNameProvider})
    rows = 0
    for node, value in resolved[metadata.QualifiedNameProvider].items():
        if isinstance(node, (cst.Name, cst.Attribute, cst.Call)):
            rows += 1
            if callable(value):
                value()
    return rows


def serve():
    import marshal

    receive, send = sys.stdin.buffer.read, sys.stdout.buffer.write
    while len(head := receive(4)) == 4:
        source = receive(int.from_bytes(head, "little"))
        start = time.process_time_ns()
        try:
            code = marshal.dumps(compile(source, "f.py", "exec", dont_inherit=True))
        except Exception:
            code = b""
        spent = time.process_time_ns() - start
        send(len(code).to_bytes(4, "little") + code + spent.to_bytes(8, "little"))
        sys.stdout.buffer.flush()


def main():
    import warnings

    warnings.simplefilter("ignore")
    if sys.argv[1] == "compile":
        return serve()
    make = {"ast": ast_rows, "symtable": symtable_rows, "dis": dis_rows, "libcst": libcst_rows}[sys.argv[1]]
    sys.setrecursionlimit(5_000)
    files = size = refused = rows = 0
    seconds = 0.0
    for path in sys.stdin.read().splitlines():
        with open(path, "rb") as file:
            content = file.read()
        start = time.process_time()
        try:
            rows += make(content, path, sys.argv[2])
        except Exception:
            refused += 1
            continue
        # What is refused takes no time on either side.
        seconds += time.process_time() - start
        files += 1
        size += len(content)
    version = ".".join(map(str, sys.version_info[:3]))
    report = {"python": version, "files": files, "refused": refused, "bytes": size, "rows": rows, "seconds": seconds}
    print(json.dumps(report))


main()
