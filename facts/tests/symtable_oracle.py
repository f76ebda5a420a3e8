"""Prints what CPython's `symtable` shows of every file below a directory, in the form of Lode's `symtable_*` tables.

A file is a line `@path`, then its rows; every row starts with the letter of its table, fields are separated by tabs.
Where CPython refuses the file there is one row `E`; a row `X` says that a bug which a later patch of the version has
fixed may show in the rows behind it. Rows `B` come from elsewhere: the instructions of the compiled code
that load, store or delete a name, with the code object that holds the name's cell.

With `mutants <count> <seed> <folder>` the files are written first: sources of the standard library with statements put
in that make errors of the symbol table likely.
"""

import _symtable
import ast
import dis
import os
import random
import re
import symtable
import sys
import types
import warnings

warnings.simplefilter("ignore")
VERSION = sys.version_info[:2]
SCOPES = {getattr(_symtable, name): name for name in ("LOCAL", "GLOBAL_EXPLICIT", "GLOBAL_IMPLICIT", "FREE", "CELL")}
METHODS = (
    "is_referenced", "is_imported", "is_parameter", "is_global", "is_nonlocal", "is_declared_global", "is_local",
    "is_annotated", "is_free", "is_assigned", "is_namespace",
)
# Bits that no method of older versions tells.
FREE_CLASS, COMP_ITER, TYPE_PARAM, COMP_CELL = 64, 512, 1024, 2048
FLAGS = (1 << _symtable.SCOPE_OFF) - 1


def row(*fields):
    return "\t".join("\\N" if f is None else str(f).lower() if isinstance(f, bool) else str(f) for f in fields) + "\n"


def rows_of(top):
    """Numbers the tables, depth first, and gives their rows."""
    out, order, pending = [], [], [(top, None, None)]
    ordinals = {}
    while pending:
        table, parent, index = pending.pop()
        ordinal = len(order)
        # A table has one object as long as it is held.
        ordinals[id(table)] = ordinal
        order.append(table)
        raw = table._table
        children = table.get_children()
        out.append(row(
            "S", parent, index, str(table.get_type()), raw.type, table.get_name(), table.get_lineno(),
            table.is_optimized(), table.is_nested(), table.has_children(), len(raw.symbols),
        ))
        pending.extend((child, ordinal, i) for i, child in reversed(list(enumerate(children))))
    next_symbol = 0
    for ordinal, table in enumerate(order):
        flags = table._table.symbols
        passed_on = {name for name in flags if not flags[name] & FLAGS & ~(FREE_CLASS | COMP_CELL)}
        names = [name for name in flags if name not in passed_on] + sorted(passed_on)
        symbols = {}
        for name in names:
            symbols[name] = next_symbol
            next_symbol += 1
            symbol = table.lookup(name)
            bits = flags[name]
            scope = SCOPES[bits >> _symtable.SCOPE_OFF & _symtable.SCOPE_MASK]
            marks = (bits & TYPE_PARAM, bits & FREE_CLASS, bits & COMP_ITER, bits & COMP_CELL)
            marks = [bool(mark) and VERSION >= (3, 12) or mark in (FREE_CLASS, COMP_ITER) for mark in marks]
            namespaces = symbol.get_namespaces()
            out.append(row(
                "Y", ordinal, name, scope, *(bool(getattr(symbol, method)()) for method in METHODS), *marks,
                len(namespaces),
            ))
            for i, namespace in enumerate(namespaces):
                out.append(row("N", symbols[name], ordinal, ordinals[id(namespace)], i))
        if isinstance(table, symtable.Function):
            for partition in ("parameters", "locals", "globals", "nonlocals", "frees"):
                members = set(getattr(table, f"get_{partition}")())
                for position, name in enumerate(name for name in names if name in members):
                    out.append(row("P", ordinal, partition, symbols[name], name, position))
        if isinstance(table, symtable.Class):
            for position, name in enumerate(table.get_methods()):
                out.append(row("M", ordinal, name, position))
    return out


KINDS = {
    "FAST": "FAST", "FAST_CHECK": "FAST", "FAST_BORROW": "FAST", "DEREF": "DEREF", "CLASSDEREF": "DEREF", "FROM_DICT_OR_DEREF": "DEREF",
    "GLOBAL": "GLOBAL", "FROM_DICT_OR_GLOBALS": "GLOBAL", "NAME": "NAME",
}


def instructions(content):
    """Loads, stores and deletions of names, with their positions: since 3.11."""
    if VERSION < (3, 11):
        return
    try:
        pending = [(compile(content, "f", "exec", dont_inherit=True), ())]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    while pending:
        code, outer = pending.pop()
        pending.extend((const, (*outer, code)) for const in code.co_consts if isinstance(const, types.CodeType))
        for instruction in dis.get_instructions(code):
            verb, _, what = instruction.opname.partition("_")
            position = instruction.positions
            name = instruction.argval
            if verb not in ("LOAD", "STORE", "DELETE") or what not in KINDS or not isinstance(name, str):
                continue
            if position.lineno is None or position.col_offset is None:
                continue
            kind = KINDS[what]
            # Where a comprehension's cell shadows a free variable, the name alone doesn't tell which one it is; and
            # a cell that goes into a closure is loaded like a local.
            if name in code.co_cellvars and name in code.co_freevars:
                continue
            if kind == "FAST" and (name in code.co_cellvars or name in code.co_freevars):
                continue
            binder = None
            if kind == "DEREF":
                holders = [holder.co_name for holder in (*outer, code) if name in holder.co_cellvars]
                binder = holders[-1] if holders else None
            yield row(
                "B", position.lineno, position.col_offset, position.end_lineno, position.end_col_offset, verb.lower(),
                name, kind, binder,
            )


def error_row(stage, error):
    place = [getattr(error, f, None) for f in ("lineno", "offset", "end_lineno", "end_offset")]
    return row("E", stage, type(error).__name__, *place, getattr(error, "msg", error))


def mangles_too_much(content):
    """Whether 3.12.0 to 3.12.3 mangle names of the head of a generic class, and behind it (gh-119311, gh-119395)."""
    if not (3, 12) <= sys.version_info < (3, 12, 4) or not re.search(rb"\b__(?!\w*__\b)\w", content):
        return False
    return any(isinstance(node, ast.ClassDef) and node.type_params for node in ast.walk(ast.parse(content)))


def show(path, content):
    print(f"@{path}")
    try:
        top = symtable.symtable(content, "f", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        try:
            ast.parse(content)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            sys.stdout.write(error_row("parse", error))
        else:
            sys.stdout.write(error_row("symtable", error))
        return
    if mangles_too_much(content):
        sys.stdout.write(row("X"))
    sys.stdout.writelines(rows_of(top))
    sys.stdout.writelines(instructions(content))


def files(root):
    for directory, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in ("site-packages", "dist-packages", "__pycache__"))
        for name in sorted(names):
            path = os.path.join(directory, name)
            if name.endswith(".py") and os.path.isfile(path):
                yield path


STATEMENTS = """
global {a}|global {a}, {b}|nonlocal {a}|nonlocal {a}, {b}|{a}: {b}|{a}: {b} = {c}|({a}): {b}|{a} = {b}|del {a}
from m import *|import {a}.{b}|import {a} as {b}|from {a} import {b}|def {a}({b}, {c}={a}): return {b}, {d}
def {a}({b}, {c}): nonlocal {d}; {d} = 1|def {a}(*{b}, {c}, **{d}): global {a}; lambda {b}, {c}: {d}
lambda {a}, {b}: {c}|[{a} for {b} in {c}]|[{a} := {b} for {b} in {c}]|[{a} for {b} in {c} if ({d} := {b})]
[[{a} := {d} for {b} in {c}] for {d} in {b}]|[{a} for {b} in ({c} := {d})]|[{a} for {b} in {c} for {a} in ({b}, (lambda: {b}))]
{{{a}: {b} for {a}, {b} in {c}}}|({a} for {b} in {c} if (lambda: {a}))|[lambda: {a} for {a} in {b}]|[(yield {a}) for {a} in {b}]
({a} := {b})|print({a} := {b}, lambda: ({c} := {d}))|class {a}({b}): {c} = {d}; {d} = lambda: {c}
class {a}: {b} = [{c} := {d} for {d} in {b}]|class {a}: global {b}; {b} = {c}|class {a}: nonlocal {b}; {b} = {c}
class {a}: {b} = [{b} for {c} in {d}]; __{c} = [__{d} for {a} in {b}]|class {a}: __{b} = lambda: (__{b}, __class__, super())
with {a} as {b}, {c} as ({d}, {a}): pass|for {a}, {b}.{c} in {d}: {a}|{a}[{b}].{c} = {d}|{a} += {b}|super()
async def {a}({b}): return [{c} async for {c} in {b}], await {d}|f"{{{a}!r:{{{b}}}}} {{(lambda: {c})}}"
""".strip()
BLOCKS = (
    "@{a}\n@{d}\nclass {b}({c}, k={a}): {d}", "@{a}\ndef {b}({c}: {d} = {a}) -> {b}: {c}",
    "try: {a}\nexcept {b} as {c}: {d}\nelse: {b}\nfinally: {c}", "if {a}: {b}: {c}\nelif {d}: {a} = 1\nelse: {c}: {a} = {b}",
    "def {a}({b}):\n def {c}():\n  nonlocal {b}, {d}\n  [{b} := {a} for {d} in {c}]\n {d} = lambda: ({d}, {b})",
    "class {a}:\n {b}: {c}\n def {b}({c}):\n  class {d}:\n   global {a}\n   {a} = __class__, {c}, __{d}",
    "async def {a}({b}):\n async with {c} as {d}: pass\n async for {c} in {d}: yield {c}",
)
SINCE_310 = "match {a}:\n case {b} | [{b}, *{c}] | {{'k': {b}, **{c}}} | {d}({c}, {b}={c}): {d}"
SINCE_312 = """
def {a}[{b}, *{c}, **{d}]({d}: {b}) -> {c}: return {b}, {a}|class {a}[{b}: {c}]({d}[{b}]): {c}: {b} = {a}
type {a}[{b}] = {c}[{b}, lambda: {a}]|type {a} = [{b} for {b} in {c}]|class {a}[__{b}]({c}): __{d}: __{b}
def {a}[{b}](): nonlocal {b}|def {a}[{b}: ({c}, {d})](): nonlocal {d}|class {a}:\n def {b}[{c}: {d}](self): return __class__
class {a}:\n type {b}[{c}] = {c}|def {a}[{b}: (yield)](): pass|type {a} = ({b} := {c})|def {a}[{b}, {c}](): lambda: {b}
""".strip()
SINCE_313 = "def {a}[{b} = {c}](): pass|class {a}[{b}: {c} = {d}, *{d} = {a}, **{a} = {b}](): pass"


def mutants(root, count, seed, folder):
    draw = random.Random(seed)
    known = STATEMENTS.replace("\n", "|").split("|") + list(BLOCKS) * 2
    if VERSION >= (3, 10):
        known = known + [SINCE_310]
    if VERSION >= (3, 12):
        known = known + [s.replace("\\n", "\n") for s in re.split(r"\||(?<!:)\n", SINCE_312)]
    if VERSION >= (3, 13):
        known = known + SINCE_313.split("|")
    paths = [path for path in files(root) if os.path.getsize(path) < 20_000]
    for number in range(count):
        with open(draw.choice(paths), "rb") as file:
            try:
                text = file.read().decode()
                tree = ast.parse(text)
            except (SyntaxError, ValueError):
                continue
        lines = text.split("\n")
        names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)] or ["x"]
        # Before statements that start their line; from the last one on, so that the lines before stay where they are.
        starts = [(node.lineno, node.col_offset) for node in ast.walk(tree) if isinstance(node, ast.stmt)]
        starts = [(line, column) for line, column in starts if not lines[line - 1][:column].strip()] or [(1, 0)]
        for line, column in sorted((draw.choice(starts) for _ in range(draw.randint(1, 4))), reverse=True):
            # Few different names, so that they meet.
            few = [draw.choice(names) for _ in range(4)] if draw.random() < 0.4 else draw.sample("abcxyz", 4)
            few = [draw.choice(few) for _ in range(4)]
            statement = draw.choice(known).format(**dict(zip("abcd", few)))
            indent = lines[line - 1][:column]
            lines[line - 1 : line - 1] = [indent + part for part in statement.split("\n")]
        if draw.random() < 0.1:
            lines.insert(0, "from __future__ import annotations")
        path = os.path.join(folder, f"{number}.py")
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write("\n".join(lines) + "\n")


def main():
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogatepass", newline="\n")
    root = os.path.dirname(os.__file__)
    if sys.argv[1:2] == ["mutants"]:
        count, seed, folder = sys.argv[2:]
        mutants(root, int(count), int(seed), folder)
        root = folder
    elif len(sys.argv) > 1:
        root = sys.argv[1]
    print(f"!{VERSION[0]}\t{VERSION[1]}\t{root}")
    for path in files(root):
        with open(path, "rb") as file:
            show(path, file.read())


main()
