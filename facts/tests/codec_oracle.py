"""For each codec named in the arguments: its aliases, and what it makes of byte sequences.

A line `=name alias…`, then a line a sequence: hex, a tab, the text as hex of UTF-8 or `!` if there is none. Sequences:
every single byte from 0x80 on, every pair of bytes that starts with one, and for GB 18030 the four bytes of every
character. A character that is a prefix of another sequence, or a pair that is two single ones, is as good as any.
"""

import sys
from encodings.aliases import aliases


def sequences(name):
    for first in range(0x80, 0x100):
        yield bytes([first])
        for second in range(0x01, 0x100):
            if second not in (0x0A, 0x0D):
                yield bytes([first, second])
    if name == "gb18030":
        for code in range(0x80, 0x110000):
            if not 0xD800 <= code < 0xE000:
                encoded = chr(code).encode(name)
                if len(encoded) == 4:
                    yield encoded


def main():
    sys.stdout.reconfigure(encoding="ascii", newline="\n")
    for name in sys.argv[1:]:
        print("=" + " ".join([name] + sorted(alias for alias, codec in aliases.items() if codec == name)))
        for sequence in sequences(name):
            try:
                text = sequence.decode(name).encode("utf-8").hex()
            except UnicodeError:
                text = "!"
            print("%s\t%s" % (sequence.hex(), text))


main()
