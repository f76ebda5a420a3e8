"""Prints the table of this interpreter's bytecode: `python3.13 generate.py > 3.13.tsv`.

What `dis` and `opcode` know comes from there. Two things they don't know are written down here: how many values an
instruction takes off the stack (`dis.stack_effect` tells the difference alone) and where control goes after it.

A line is a key and its values, separated by tabs. Lines `op` hold: code, name, argument, flow, caches, pops, effect,
pops and effect on the jump where they differ, peeks, move. Numbers that depend on the argument are sums of terms
`weight*arg`, `weight*arg&mask` and `weight*arg>>shift`.
"""

import dis
import importlib.util
import opcode
import sys

VERSION = sys.version_info[:2]
HAS_ARG = set(getattr(dis, "hasarg", [op for op in dis.opmap.values() if op >= dis.HAVE_ARGUMENT]))
HAS_JUMP = set(dis.hasjrel) | set(dis.hasjabs)

# Values taken off the stack. What is left of them (`COPY`, `LIST_APPEND`: looked at and kept) is in PEEKS.
POPS = {
    0: """NOP CACHE EXTENDED_ARG RESUME RESERVED NOT_TAKEN LOAD_CONST LOAD_SMALL_INT LOAD_COMMON_CONSTANT LOAD_FAST
        LOAD_FAST_BORROW LOAD_FAST_CHECK LOAD_FAST_AND_CLEAR LOAD_FAST_LOAD_FAST LOAD_FAST_BORROW_LOAD_FAST_BORROW
        LOAD_NAME LOAD_GLOBAL LOAD_DEREF LOAD_CLASSDEREF LOAD_CLOSURE LOAD_LOCALS LOAD_BUILD_CLASS
        LOAD_ASSERTION_ERROR PUSH_NULL DELETE_NAME DELETE_GLOBAL DELETE_FAST DELETE_DEREF SETUP_ANNOTATIONS MAKE_CELL
        COPY_FREE_VARS JUMP_FORWARD JUMP_BACKWARD JUMP_BACKWARD_NO_INTERRUPT JUMP_ABSOLUTE POP_BLOCK RETURN_GENERATOR
        RETURN_CONST KW_NAMES PRECALL GEN_START BEGIN_FINALLY CALL_FINALLY SETUP_FINALLY SETUP_ASYNC_WITH COPY DUP_TOP
        DUP_TOP_TWO SWAP ROT_TWO ROT_THREE ROT_FOUR ROT_N FOR_ITER GET_ANEXT GET_LEN MATCH_MAPPING MATCH_SEQUENCE
        IMPORT_FROM WITH_EXCEPT_START WITH_CLEANUP_START ENTER_EXECUTOR""",
    1: """POP_TOP UNARY_NOT UNARY_NEGATIVE UNARY_INVERT UNARY_POSITIVE TO_BOOL GET_ITER GET_YIELD_FROM_ITER GET_AITER
        GET_AWAITABLE LOAD_ATTR LOAD_METHOD LOAD_SPECIAL LOAD_FROM_DICT_OR_DEREF LOAD_FROM_DICT_OR_GLOBALS STORE_NAME
        STORE_GLOBAL STORE_FAST STORE_DEREF STORE_FAST_LOAD_FAST DELETE_ATTR POP_JUMP_IF_TRUE POP_JUMP_IF_FALSE
        POP_JUMP_IF_NONE POP_JUMP_IF_NOT_NONE POP_JUMP_FORWARD_IF_TRUE POP_JUMP_FORWARD_IF_FALSE
        POP_JUMP_FORWARD_IF_NONE POP_JUMP_FORWARD_IF_NOT_NONE POP_JUMP_BACKWARD_IF_TRUE POP_JUMP_BACKWARD_IF_FALSE
        POP_JUMP_BACKWARD_IF_NONE POP_JUMP_BACKWARD_IF_NOT_NONE JUMP_IF_TRUE_OR_POP JUMP_IF_FALSE_OR_POP RETURN_VALUE
        YIELD_VALUE ASYNC_GEN_WRAP INTERPRETER_EXIT EXIT_INIT_CHECK CALL_INTRINSIC_1 CONVERT_VALUE FORMAT_SIMPLE
        LIST_APPEND SET_ADD LIST_EXTEND SET_UPDATE DICT_UPDATE DICT_MERGE LIST_TO_TUPLE UNPACK_SEQUENCE UNPACK_EX
        BEFORE_WITH BEFORE_ASYNC_WITH SETUP_WITH IMPORT_STAR PRINT_EXPR SEND PUSH_EXC_INFO CHECK_EXC_MATCH
        COPY_DICT_WITHOUT_KEYS""",
    2: """BINARY_OP BINARY_SUBSCR COMPARE_OP IS_OP CONTAINS_OP STORE_ATTR DELETE_SUBSCR STORE_FAST_STORE_FAST MAP_ADD
        IMPORT_NAME CALL_INTRINSIC_2 FORMAT_WITH_SPEC SET_FUNCTION_ATTRIBUTE YIELD_FROM END_SEND CHECK_EG_MATCH
        JUMP_IF_NOT_EXC_MATCH PREP_RERAISE_STAR BUILD_TEMPLATE POP_ITER""",
    3: "STORE_SUBSCR BINARY_SLICE LOAD_SUPER_ATTR MATCH_CLASS CLEANUP_THROW WITH_CLEANUP_FINISH",
    4: "STORE_SLICE CALL_FUNCTION_EX",
    6: "END_FINALLY",
    7: "END_ASYNC_FOR",
    "0 1*arg": "BUILD_TUPLE BUILD_LIST BUILD_SET BUILD_STRING BUILD_SLICE RAISE_VARARGS"
    " BUILD_TUPLE_UNPACK BUILD_TUPLE_UNPACK_WITH_CALL BUILD_LIST_UNPACK BUILD_SET_UNPACK BUILD_MAP_UNPACK"
    " BUILD_MAP_UNPACK_WITH_CALL",
    "0 2*arg": "BUILD_MAP",
    "1 1*arg": "BUILD_CONST_KEY_MAP CALL_FUNCTION",
    "2 1*arg": "CALL CALL_METHOD CALL_FUNCTION_KW",
    "3 1*arg": "CALL_KW",
    "6 1*arg": "POP_FINALLY",
    "1 1*arg>>2&1": "FORMAT_VALUE",
    "2 1*arg&1": "BUILD_INTERPOLATION",
}
POPS = {name: pops for pops, names in POPS.items() for name in names.split()}
PEEKS = {
    "1": "DUP_TOP FOR_ITER GET_ANEXT GET_LEN MATCH_MAPPING MATCH_SEQUENCE IMPORT_FROM JUMP_IF_TRUE_OR_POP"
    " JUMP_IF_FALSE_OR_POP CHECK_EXC_MATCH COPY_DICT_WITHOUT_KEYS",
    "1,2": "DUP_TOP_TWO MATCH_KEYS",
    "0 1*arg": "COPY LIST_APPEND SET_ADD LIST_EXTEND SET_UPDATE DICT_UPDATE DICT_MERGE MAP_ADD",
}
PEEKS = {name: peeks for peeks, names in PEEKS.items() for name in names.split()}
MOVES = {"SWAP": "swap", "ROT_N": "rotate", "ROT_TWO": "rotate 2", "ROT_THREE": "rotate 3", "ROT_FOUR": "rotate 4"}
EFFECTS = {}  # where `dis` is not followed
JUMP_POPS = {"SETUP_ASYNC_WITH": 1, "SETUP_WITH": 1}

if VERSION < (3, 11):
    POPS.update(WITH_EXCEPT_START=0, POP_EXCEPT=3, RERAISE=3, MATCH_KEYS=0, CALL_FUNCTION_EX="2 1*arg&1")
    POPS.update(MAKE_FUNCTION="2 1*arg&1 1*arg>>1&1 1*arg>>2&1 1*arg>>3&1")
    PEEKS.update(WITH_EXCEPT_START="7", WITH_CLEANUP_START="7")
    # The value that starts a generator is on the stack, and no instruction put it there.
    EFFECTS.update(GEN_START=0)
else:
    POPS.update(END_ASYNC_FOR=2, POP_EXCEPT=1, RERAISE=1, MATCH_KEYS=0, CALL_FUNCTION_EX="3 1*arg&1")
    POPS.update(MAKE_FUNCTION="1 1*arg&1 1*arg>>1&1 1*arg>>2&1 1*arg>>3&1")
    PEEKS.update(WITH_EXCEPT_START="4,1", SEND="1")
if VERSION == (3, 11):
    # `dis` splits the effect of a call between these two; the interpreter doesn't.
    EFFECTS.update(PRECALL=0, CALL="-1 -1*arg")
if VERSION in ((3, 11), (3, 12)):
    # The value sent first; `POP_TOP` follows.
    EFFECTS.update(RETURN_GENERATOR=1)
if VERSION >= (3, 12):
    POPS.update(END_FOR=2 if VERSION == (3, 12) else 1)
else:
    JUMP_POPS.update(FOR_ITER=1, JUMP_IF_TRUE_OR_POP=0, JUMP_IF_FALSE_OR_POP=0, SEND=2)
if VERSION >= (3, 13):
    POPS.update(MAKE_FUNCTION=1)
if VERSION >= (3, 14):
    POPS.update(CALL_FUNCTION_EX=4, POP_ITER=1)
    POPS.pop("BINARY_SUBSCR")
    PEEKS.update(WITH_EXCEPT_START="5,4,1")

FLOWS = {
    "jump": "JUMP_FORWARD JUMP_BACKWARD JUMP_BACKWARD_NO_INTERRUPT JUMP_ABSOLUTE",
    "return": "RETURN_VALUE RETURN_CONST INTERPRETER_EXIT",
    "raise": "RAISE_VARARGS RERAISE",
    "setup": "SETUP_FINALLY SETUP_WITH SETUP_ASYNC_WITH",
    "call": "CALL_FINALLY",
    "pop_block": "POP_BLOCK",
    "next": "END_ASYNC_FOR ENTER_EXECUTOR",
}
FLOWS = {name: flow for flow, names in FLOWS.items() for name in names.split()}

MAKE_FUNCTION_FLAGS = getattr(dis, "MAKE_FUNCTION_FLAGS", None) or dis.FUNCTION_ATTR_FLAGS
PAIRS = ("LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW", "STORE_FAST_LOAD_FAST", "STORE_FAST_STORE_FAST")


def argument(op, name):
    """How `dis` of this version turns the argument into `argval` and `argrepr`."""
    if op not in HAS_ARG:
        return "none"
    if name == "LOAD_SMALL_INT" and op in dis.hasconst:
        return "small_int"
    if op in dis.hasconst:
        # 3.11 resolves the constants of `LOAD_CONST` alone.
        return "const" if name == "LOAD_CONST" or VERSION != (3, 11) else "unresolved"
    if op in dis.hasname:
        if name == "LOAD_GLOBAL" and VERSION >= (3, 11):
            return "global"
        if name == "LOAD_ATTR" and VERSION >= (3, 12):
            return "attribute"
        if name == "LOAD_SUPER_ATTR":
            return "super_attribute"
        return "name"
    if op in dis.hasjabs:
        return "jump_absolute"
    if op in dis.hasjrel:
        if name == "END_ASYNC_FOR":
            return "jump_from"
        backward = "JUMP_BACKWARD" in name
        return "jump_backward" if backward else "jump_forward"
    if name in PAIRS:
        return "local_pair"
    if op in dis.haslocal:
        return "local"
    if op in dis.hasfree:
        return "free"
    if op in dis.hascompare:
        return "compare"
    kinds = {
        "FORMAT_VALUE": "format",
        "MAKE_FUNCTION": "flags",
        "SET_FUNCTION_ATTRIBUTE": "flags",
        "CONVERT_VALUE": "conversion",
        "BINARY_OP": "operator",
        "CALL_INTRINSIC_1": "intrinsic_1",
        "CALL_INTRINSIC_2": "intrinsic_2",
        "LOAD_COMMON_CONSTANT": "common_constant",
        "LOAD_SPECIAL": "special_method",
    }
    if VERSION >= (3, 14):
        kinds.update(IS_OP="is", CONTAINS_OP="contains")
    return kinds.get(name, "int")


def flow(op, name):
    return FLOWS.get(name) or ("branch" if op in HAS_JUMP else "next")


def evaluate(terms, arg):
    constant, *rest = str(terms).split()
    total = int(constant)
    for term in rest:
        weight, shape = term.split("*arg")
        shift = int(shape.partition("&")[0][2:] or 0) if shape.startswith(">>") else 0
        mask = int(shape.partition("&")[2] or "ffffffff", 16)
        total += int(weight) * (arg >> shift & mask)
    return total


SHAPES = [
    lambda f: f"{f(0)}",
    lambda f: f"{f(0)} {f(1) - f(0)}*arg",
    lambda f: f"{f(0)} {f(1) - f(0)}*arg&1",
    lambda f: f"{f(0)} {f(4) - f(0)}*arg>>2&1",
    lambda f: f"{f(0)} 1*arg&ff 1*arg>>8",
    lambda f: f"{f(0)} " + " ".join(f"{f(1 << i) - f(0)}*arg>>{i}&1" for i in range(4)),
]


def effect(op, name, jump):
    """The terms that give what `dis.stack_effect` gives."""
    if name in EFFECTS:
        return str(EFFECTS[name])
    if op not in HAS_ARG:
        return str(dis.stack_effect(op, jump=jump))
    if name == "BUILD_SLICE" and VERSION < (3, 14):
        return "1 -1*arg"  # the argument is 2 or 3
    tried = [*range(300), 1023, 4096, 65_535, 70_000]
    if name == "RAISE_VARARGS":
        tried = [0, 1, 2]
    if name in ("MAKE_FUNCTION", "SET_FUNCTION_ATTRIBUTE"):
        tried = range(16)
    for shape in SHAPES:
        terms = shape(lambda arg: dis.stack_effect(op, arg, jump=jump))
        if all(evaluate(terms, arg) == dis.stack_effect(op, arg, jump=jump) for arg in tried):
            return terms
    raise SystemExit(f"no terms describe the stack effect of {name}")


def pops(name):
    if name in POPS:
        return str(POPS[name])
    if name.startswith(("BINARY_", "INPLACE_")):
        return "2"
    raise SystemExit(f"how many values does {name} take?")


def caches(name):
    return " ".join(f"{key}:{size}" for key, size in getattr(opcode, "_cache_format", {}).get(name, {}).items())


def unprintable():
    """Ranges of code points that `str.isprintable` denies, in hexadecimal: start and length, each start relative."""
    ranges, end = [], 0
    code = 0
    while code <= sys.maxunicode:
        if chr(code).isprintable():
            code += 1
            continue
        start = code
        while code <= sys.maxunicode and not chr(code).isprintable():
            code += 1
        ranges.append(f"{start - end:x}+{code - start:x}")
        end = code
    return " ".join(ranges)


def common_constants():
    constants = getattr(opcode, "_common_constants", ())
    return [c.__name__ if isinstance(c, type) else repr(c) for c in constants]


def line(*fields):
    print(*fields, sep="\t")


def main():
    line("python", ".".join(map(str, VERSION)))
    line("magic", int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little"))
    line("compare", *dis.cmp_op)
    line("flags", *MAKE_FUNCTION_FLAGS)
    line("operator", *(symbol for _, symbol in getattr(opcode, "_nb_ops", ())))
    line("intrinsic_1", *getattr(opcode, "_intrinsic_1_descs", ()))
    line("intrinsic_2", *getattr(opcode, "_intrinsic_2_descs", ()))
    line("common_constant", *common_constants())
    line("special_method", *getattr(opcode, "_special_method_names", ()))
    line("unprintable", unprintable())
    for op, name in sorted((op, name) for name, op in dis.opmap.items() if op < 256):
        if name.startswith("INSTRUMENTED_"):
            continue
        plain, jump = effect(op, name, False), effect(op, name, True)
        jump_pops = str(JUMP_POPS.get(name, pops(name)))
        differs = (jump_pops, jump) != (pops(name), plain)
        line(
            "op", op, name, argument(op, name), flow(op, name), caches(name), pops(name), plain,
            jump_pops if differs else "", jump if differs else "", PEEKS.get(name, ""), MOVES.get(name, ""),
        )


main()
