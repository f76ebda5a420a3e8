"""Prints what CPython's `ast` sees in every file below a directory, in the form of Lode's `ast_*` tables.

A file is a line `@path`, then its rows; every row starts with the letter of its table, fields are separated by tabs.
Where CPython refuses the file there is one row `E`.
"""

import ast
import os
import sys
import warnings

warnings.simplefilter("ignore")
OPERATORS = (ast.operator, ast.unaryop, ast.boolop)
LEFT_OUT = OPERATORS + (ast.expr_context, ast.cmpop, ast.type_ignore)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def escaped(text):
    if text is None:
        return "\\N"
    text = text.encode("utf-8", "backslashreplace").decode()
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def of_bytes(value):
    return "".join("\\\\" if b == 92 else chr(b) if 32 <= b < 127 else f"\\x{b:02x}" for b in value)


def constant(value):
    kind = type(value).__name__
    if isinstance(value, str):
        return kind, value
    if isinstance(value, bytes):
        return kind, of_bytes(value)
    if isinstance(value, complex):
        return kind, repr(value.imag).removesuffix(".0") + "j"
    return kind, str(value)


def labels(node):
    """name, value, value_type"""
    match node:
        case ast.Constant() | ast.MatchSingleton():
            kind, text = constant(node.value)
            return None, text, kind
        case ast.Name():
            return node.id, None, None
        case ast.Attribute():
            return node.attr, None, None
        case ast.arg():
            return node.arg, None, None
        case ast.keyword():
            return node.arg, None, None
        case ast.alias():
            return node.name, node.asname, None
        case ast.ImportFrom():
            return node.module, str(node.level), None
        case ast.Global() | ast.Nonlocal():
            return ",".join(node.names), None, None
        case ast.MatchMapping():
            return node.rest, None, None
        case ast.MatchClass():
            return ",".join(node.kwd_attrs) or None, None, None
        case ast.Compare():
            return None, " ".join(type(op).__name__ for op in node.ops), None
        case ast.AnnAssign():
            return None, str(node.simple), None
        case ast.comprehension():
            return None, str(node.is_async), None
        case ast.FormattedValue():
            return None, str(node.conversion), None
    # The name of a type alias is a node.
    name = getattr(node, "name", None)
    return name if isinstance(name, str) else None, None, None


def span(node):
    if not hasattr(node, "lineno"):
        return ("\\N",) * 4
    return tuple(map(str, (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)))


def dotted(node):
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return None if base is None else f"{base}.{node.attr}"
    return None


def arity(node):
    if isinstance(node, ast.ClassDef):
        counts = (None,) * 5 + (len(node.bases), len(node.keywords))
    else:
        a = node.args
        counts = (len(a.args), len(a.posonlyargs), len(a.kwonlyargs))
        counts += (str(a.vararg is not None).lower(), str(a.kwarg is not None).lower(), None, None)
    return ["\\N" if c is None else str(c) for c in counts]


class Dump:
    def __init__(self):
        self.rows = []
        self.next = 0

    def node(self, node, parent, parent_kind, field, index):
        ordinal = self.next
        self.next += 1
        kind = type(node).__name__
        name, value, value_type = labels(node)
        ctx = getattr(node, "ctx", None)
        op = getattr(node, "op", None)
        self.row(
            "N", parent, kind, field, index, escaped(name), escaped(value), value_type,
            type(ctx).__name__ if ctx else None, type(op).__name__ if op else None, *span(node),
        )
        if isinstance(node, DEFINITIONS + (ast.Module,)):
            docstring = ast.get_docstring(node, clean=False)
            if docstring is not None:
                owner = escaped(getattr(node, "name", None))
                self.row("D", ordinal, kind, owner, escaped(docstring), *span(node.body[0].value))
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for i, alias in enumerate(node.names):
                module, level = getattr(node, "module", None), getattr(node, "level", None)
                self.row(
                    "I", ordinal, parent, kind, escaped(module), escaped(alias.name), escaped(alias.asname), i, level,
                    *span(alias),
                )
        if isinstance(node, DEFINITIONS):
            self.row(
                "F", ordinal, parent, kind, escaped(node.name), len(node.decorator_list), *arity(node),
                len(getattr(node, "type_params", ())), *span(node),
            )
        if isinstance(node, ast.Call):
            self.row(
                "C", ordinal, parent, type(node.func).__name__, escaped(dotted(node.func)), len(node.args),
                len(node.keywords), sum(isinstance(a, ast.Starred) for a in node.args),
                sum(k.arg is None for k in node.keywords), *span(node),
            )
        for child_field, child in ast.iter_fields(node):
            if isinstance(child, ast.AST):
                if not isinstance(child, LEFT_OUT):
                    self.node(child, ordinal, kind, child_field, None)
            elif isinstance(child, list):
                for i, item in enumerate(child):
                    if isinstance(item, ast.AST) and not isinstance(item, LEFT_OUT):
                        self.node(item, ordinal, kind, child_field, i)

    def row(self, *fields):
        self.rows.append("\t".join("\\N" if f is None else str(f) for f in fields))


def files(root):
    for directory, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in ("site-packages", "__pycache__"))
        for name in sorted(names):
            if name.endswith(".py"):
                yield os.path.join(directory, name)


def main():
    sys.setrecursionlimit(20_000)
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    root = os.path.dirname(os.__file__) if len(sys.argv) < 2 else sys.argv[1]
    print(f"!{sys.version_info[0]}\t{sys.version_info[1]}\t{root}")
    for path in files(root):
        with open(path, "rb") as file:
            content = file.read()
        print(f"@{path}")
        try:
            tree = ast.parse(content)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            print(f"E\t{type(error).__name__}")
            continue
        dump = Dump()
        dump.node(tree, None, None, None, None)
        sys.stdout.write("".join(f"{row}\n" for row in dump.rows))
        try:
            ignores = ast.parse(content, type_comments=True).type_ignores
        except SyntaxError:
            print("T\t?")
            continue
        for ignore in ignores:
            print(f"T\t{ignore.lineno}\t{escaped(ignore.tag)}")


main()
