"""For each codec named in the arguments: its aliases, and what it makes of byte sequences.

A line `=name alias…`, then a line a sequence: hex, a tab, the text as hex of UTF-8 or `!` if there is none.

Of a codec without state the sequences are every single byte, every pair of bytes that doesn't begin with a character of
one byte, with EUC also the three bytes behind 8F, and with GB 18030 every four bytes that its form allows. Of a codec
with state they are every byte and pair behind each of its escape sequences, and texts of pieces drawn by a seed.
"""

import random
import sys
from encodings.aliases import aliases

ESCAPES = [
    b"\x1b(B", b"\x1b(J", b"\x1b(I", b"\x1b$@", b"\x1b$B", b"\x1b$(@", b"\x1b$(B", b"\x1b$(D", b"\x1b$A", b"\x1b$(A", b"\x1b$(C",
    b"\x1b$(O", b"\x1b$(P", b"\x1b$(Q", b"\x1b$)C", b"\x1b.A", b"\x1b.F", b"\x1bN", b"\x0e", b"\x0f", b"~{", b"~}", b"~~", b"~\n",
]


def decoded(name, sequence):
    try:
        return sequence.decode(name).encode("utf-8")
    except (UnicodeError, OverflowError):
        return None


def names(name):
    """Its aliases, but for those that are spelled so that none can be found by them."""
    return sorted(alias for alias, codec in aliases.items() if codec == name and alias == alias.lower())


def with_state(name):
    for escape in ESCAPES:
        for first in range(0x21, 0x7F):
            yield escape + bytes([first])
            for second in range(0x21, 0x7F):
                yield escape + bytes([first, second])
        for last in range(0x100):
            if last not in (0x0A, 0x0D):
                yield escape + bytes([last])
                yield escape + b"!" + bytes([last])
    draw = random.Random(name)
    pieces = ESCAPES * 3 + [b"a", b"\\", b"~", b"\n", b"0!", b"!!", b"7P", b"\x1b$", b"\x1b(", b"\x1b", b"\x80", b"\xb0\xa1"]
    for _ in range(60_000):
        yield b"".join(draw.choice(pieces) for _ in range(draw.randint(1, 8)))


def without_state(name):
    for first in range(0x100):
        yield bytes([first])
        if decoded(name, bytes([first])) is None:
            for second in range(0x100):
                yield bytes([first, second])
    if name.startswith("euc_j"):
        for second in range(0x80, 0x100):
            for third in range(0x80, 0x100):
                yield bytes([0x8F, second, third])
    if name == "gb18030":
        digits = range(0x30, 0x3A)
        for first in range(0x81, 0xFF):
            for second in digits:
                for third in range(0x81, 0xFF):
                    for fourth in digits:
                        yield bytes([first, second, third, fourth])


def main():
    sys.stdout.reconfigure(encoding="ascii", newline="\n")
    for name in sys.argv[1:]:
        print("=" + " ".join([name] + names(name)))
        for sequence in (with_state if name.startswith(("iso2022", "hz")) else without_state)(name):
            # Ends of lines are not the codec's, and a source with a NUL byte is refused whatever its codec.
            if b"\r" not in sequence and b"\0" not in sequence:
                text = decoded(name, sequence)
                print("%s\t%s" % (sequence.hex(), "!" if text is None else text.hex()))


main()
