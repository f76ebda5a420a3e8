"""Answers for each file on standard input what CPython's `ast` sees in it, in the form of Lode's `ast_*` tables.

A file comes as a line with its length and then its bytes. The answer is its rows, a line each, and a line `.`; every
row starts with the letter of its table, fields are separated by tabs. Where CPython refuses the file there is one row
`E`: the exception, line, column in UTF-8 bytes, message, and the column again if it could be in bytes already.
"""

import ast
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
    return "".join("\\\\" if b == 92 else chr(b) if 32 <= b < 127 else "\\x%02x" % b for b in value)


def constant(value):
    kind = type(value).__name__
    if isinstance(value, str):
        return kind, value
    if isinstance(value, bytes):
        return kind, of_bytes(value)
    if isinstance(value, complex):
        return kind, repr(value)
    return kind, str(value)


NAMES = {"Name": "id", "Attribute": "attr", "arg": "arg", "keyword": "arg", "alias": "name", "MatchMapping": "rest"}
VALUES = {"alias": "asname", "AnnAssign": "simple", "comprehension": "is_async", "FormattedValue": "conversion"}


def labels(node):
    """name, value, value_type"""
    kind = type(node).__name__
    if kind in ("Constant", "MatchSingleton"):
        value_type, text = constant(node.value)
        return None, text, value_type
    if kind == "ImportFrom":
        return node.module, str(node.level), None
    if kind in ("Global", "Nonlocal"):
        return ",".join(node.names), None, None
    if kind == "MatchClass":
        return ",".join(node.kwd_attrs) or None, None, None
    if kind == "Compare":
        return None, " ".join(type(op).__name__ for op in node.ops), None
    if kind == "Interpolation":
        return None, node.str, None
    # The name of a type alias is a node.
    name = getattr(node, NAMES.get(kind, "name"), None)
    value = getattr(node, VALUES[kind]) if kind in VALUES else None
    return name if isinstance(name, str) else None, None if value is None else str(value), None


def operator(node):
    if type(node).__name__ == "Interpolation":
        return str(node.conversion)
    op = getattr(node, "op", None)
    return type(op).__name__ if op else None


def span(node):
    if not hasattr(node, "lineno"):
        return ("\\N",) * 4
    return tuple(map(str, (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)))


def dotted(node):
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return None if base is None else "%s.%s" % (base, node.attr)
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
        self.row(
            "N", parent, kind, field, index, escaped(name), escaped(value), value_type,
            type(ctx).__name__ if ctx else None, operator(node), *span(node)
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
                    *span(alias)
                )
        if isinstance(node, DEFINITIONS):
            self.row(
                "F", ordinal, parent, kind, escaped(node.name), len(node.decorator_list), *arity(node),
                len(getattr(node, "type_params", ())), *span(node)
            )
        if isinstance(node, ast.Call):
            self.row(
                "C", ordinal, parent, type(node.func).__name__, escaped(dotted(node.func)), len(node.args),
                len(node.keywords), sum(isinstance(a, ast.Starred) for a in node.args),
                sum(k.arg is None for k in node.keywords), *span(node)
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


def refusal(error):
    """Exception, line, column in bytes, message, column as it is.

    Columns count characters. Before 3.13 those of the parser, but not those of the tokenizer, count bytes in a file that
    declares no encoding, and before 3.14 those of leading zeros do.
    """
    line, offset, message = getattr(error, "lineno", None), getattr(error, "offset", None), getattr(error, "msg", str(error))
    column = offset
    if offset is not None and offset > 0:
        text = error.text or ""
        column = len(text[: offset - 1].encode("utf-8", "surrogatepass")) + max(0, offset - 1 - len(text))
    fields = ["E", type(error).__name__, line, column, escaped(message)]
    in_bytes = sys.version_info < (3, 13) or (sys.version_info < (3, 14) and message.startswith("leading zeros"))
    if in_bytes and offset:
        fields.append(offset - 1)
    return "\t".join(map(str, fields))


def answer(content):
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        return [refusal(error)]
    dump = Dump()
    dump.node(tree, None, None, None, None)
    if b"type:" not in content:
        return dump.rows
    try:
        ignores = ast.parse(content, type_comments=True).type_ignores
    except SyntaxError:
        return dump.rows + ["T\t?"]
    return dump.rows + ["T\t%d\t%s" % (ignore.lineno, escaped(ignore.tag)) for ignore in ignores]


def main():
    sys.setrecursionlimit(20000)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        length = requests.readline()
        if not length:
            break
        rows = answer(requests.read(int(length)))
        answers.write(("".join(row + "\n" for row in rows) + ".\n").encode())
        answers.flush()


main()
