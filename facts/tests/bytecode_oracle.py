"""Prints what `dis` says of every file below a directory, in the form of Lode's `bytecode_*` tables.

For each file three blocks, each preceded by its length in four bytes: the path, `marshal.dumps` of the code, the rows.
A row starts with the letter of its table; fields are separated by tabs. Files that don't compile are left out.
"""

import dis
import marshal
import os
import sys
import types
import warnings

warnings.simplefilter("ignore")
MINOR = sys.version_info[1]
HAS_CONST, HAS_NAME = set(dis.hasconst), set(dis.hasname)
HAS_LOCAL, HAS_FREE, HAS_COMPARE = set(dis.haslocal), set(dis.hasfree), set(dis.hascompare)
HAS_JUMP = set(dis.hasjrel) | set(dis.hasjabs)
UNKNOWN = getattr(dis, "UNKNOWN", object())
MAX_DIGITS = 4300


def escaped(text):
    text = text.encode("utf-8", "backslashreplace").decode()
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def show(value):
    """`repr`, but for what differs from run to run or can't be printed."""
    if isinstance(value, types.CodeType):
        return '<code object %s, file "%s", line %d>' % (value.co_name, value.co_filename, value.co_firstlineno or -1)
    if type(value) is tuple:
        return "(" + ", ".join(map(show, value)) + (",)" if len(value) == 1 else ")")
    if type(value) is frozenset and value:
        return "frozenset({" + ", ".join(sorted(map(show, value), key=str.encode)) + "})"
    if type(value) is int and value.bit_length() > 14_000 and len(str(abs(value))) > MAX_DIGITS:
        return hex(value)
    return repr(value)


def field(value):
    if value is None:
        return "\\N"
    if value is True or value is False:
        return str(value).lower()
    return escaped(str(value))


class Dump:
    def __init__(self):
        self.rows = []
        self.units = 0

    def row(self, *fields):
        self.rows.append("\t".join(map(field, fields)))

    def names(self, names):
        return "[" + ",".join(names) + "]"

    def unit(self, code, parent, const_index, outer):
        ordinal = self.units
        self.units += 1
        qualname = f"{outer}.{code.co_name}" if outer else code.co_name
        self.row(
            "U", ordinal, parent, const_index, qualname, getattr(code, "co_qualname", None), code.co_filename,
            code.co_name, code.co_firstlineno, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount,
            code.co_nlocals, code.co_stacksize, code.co_flags, len(code.co_code), self.names(code.co_names),
            self.names(code.co_varnames), self.names(code.co_freevars), self.names(code.co_cellvars),
        )
        self.instructions(code, ordinal)
        for start, end, line in self.lines(code):
            self.row("L", ordinal, start, end, line)
        if MINOR >= 11:
            for i, entry in enumerate(dis._parse_exception_table(code)):
                self.row("X", ordinal, i, entry.start, entry.end, entry.target, entry.depth, entry.lasti)
        for i, value in enumerate(code.co_consts):
            kind = "code" if isinstance(value, types.CodeType) else type(value).__name__
            child = self.units if kind == "code" else None
            self.row("C", ordinal, i, kind, show(value), child)
            if kind == "code":
                self.unit(value, ordinal, i, qualname if parent is not None else None)

    def lines(self, code):
        if MINOR >= 10:
            yield from code.co_lines()
            return
        starts = list(dis.findlinestarts(code))
        ends = [start for start, _ in starts[1:]] + [len(code.co_code)]
        for (start, line), end in zip(starts, ends):
            yield start, end, line

    def argval(self, instruction, code):
        op, value = instruction.opcode, instruction.argval
        if instruction.arg is None:
            assert value is None
            return None, None, None
        if op in HAS_CONST and instruction.opname != "LOAD_SMALL_INT":
            if value is UNKNOWN:
                return "unresolved", None, None
            assert value is code.co_consts[instruction.arg]
            return "const", None, None
        if op in HAS_NAME:
            return "name", None, value
        if op in HAS_JUMP:
            return "jump", value, None
        if isinstance(value, tuple) and isinstance(value[0], str):
            return "local", None, ", ".join(value)
        if op in HAS_LOCAL:
            return "local", None, value
        if op in HAS_FREE:
            return "free", None, value
        if op in HAS_COMPARE:
            return "compare", None, value
        if instruction.opname == "FORMAT_VALUE":
            return "conversion", int(value[1]), value[0].__name__ if value[0] else None
        if instruction.opname == "CONVERT_VALUE":
            return "conversion", None, value.__name__ if value else None
        return "int", value, None

    def instructions(self, code, ordinal):
        """3.13 says it all; for older versions the rest is put together from what they do say."""
        found = []
        options = {"show_caches": True} if MINOR >= 11 else {}
        for instruction in dis.get_instructions(code, **options):
            if instruction.opname == "CACHE" and MINOR < 13:
                found[-1][1].append(instruction.argrepr)
            else:
                found.append((instruction, []))
        targets = dis.findlabels(code.co_code)
        labels = {offset: i + 1 for i, offset in enumerate(sorted(targets))}
        line_of = {}
        if MINOR >= 10:
            for start, end, line in code.co_lines():
                for offset in range(start, end, 2):
                    line_of[offset] = line
        extended = None
        line = None
        for i, (instruction, caches) in enumerate(found):
            offset = instruction.offset
            if MINOR >= 13:
                start, end = instruction.start_offset, instruction.end_offset
                line, starts_line = instruction.line_number, instruction.starts_line
                label, target = instruction.label, instruction.jump_target if instruction.arg is not None else None
                info = instruction.cache_info or []
                size = sum(size for _, size, _ in info)
                content = code.co_code[offset + 2 : offset + 2 + 2 * size].hex()
                info = [f"{name}:{size}" for name, size, _ in info]
                assert instruction.opcode == instruction.baseopcode and label == labels.get(offset)
            else:
                start = offset if extended is None or instruction.opname == "EXTENDED_ARG" else extended
                end = offset + 2 + 2 * len(caches)
                starts_line = instruction.starts_line is not None
                if MINOR >= 10:
                    line = line_of[offset]
                elif starts_line:
                    line = instruction.starts_line
                assert not starts_line or line == instruction.starts_line
                label = labels.get(offset)
                target = instruction.argval if instruction.opcode in HAS_JUMP else None
                content = code.co_code[offset + 2 : end].hex()
                info = []
                if caches:
                    formats = sys.modules["opcode"]._cache_format[instruction.opname]
                    info = [f"{name}:{size}" for name, size in formats.items()]
                    assert len(caches) == sum(formats.values())
            assert instruction.is_jump_target == (offset in labels)
            if instruction.opname == "EXTENDED_ARG":
                extended = offset if extended is None else extended
            else:
                extended = None
            kind, number, text = self.argval(instruction, code)
            argrepr = show(instruction.argval) if kind == "const" else instruction.argrepr
            positions = getattr(instruction, "positions", None) or (None,) * 4
            self.row(
                "I", ordinal, i, offset, start, end, instruction.opname, instruction.opcode, instruction.arg, kind,
                number, text, argrepr, line, starts_line, label, instruction.is_jump_target, target,
                " ".join(info) or None, content if content.strip("0") else None, *positions,
            )


def files(root):
    for directory, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in ("site-packages", "__pycache__"))
        for name in sorted(names):
            path = os.path.join(directory, name)
            if name.endswith(".py") and os.path.isfile(path):
                yield path


def main():
    sys.setrecursionlimit(20_000)
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)
    root = os.path.dirname(os.__file__) if len(sys.argv) < 2 else sys.argv[1]
    for path in files(root):
        with open(path, "rb") as file:
            content = file.read()
        try:
            code = compile(content, "dir/file.py", "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        dump = Dump()
        dump.unit(code, None, None, None)
        rows = "\n".join(dump.rows).encode()
        for block in (path.encode(), marshal.dumps(code), rows):
            sys.stdout.buffer.write(len(block).to_bytes(4, "little") + block)


main()
