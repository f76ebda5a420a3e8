# Compiles what it is sent, and never runs any of it. Each request is the sizes of a name and of a source, then both;
# each answer a letter and a size: `C` with the code marshalled, `E` with the exception's fields, ended by zeros.
import marshal
import sys
from importlib import _bootstrap_external


def fields(error):
    if isinstance(error, SyntaxError):
        where = error.lineno, error.offset, getattr(error, "end_lineno", None), getattr(error, "end_offset", None)
        message = error.msg
    else:
        where, message = (None,) * 4, str(error)
    texts = type(error).__name__, *("" if number is None else str(number) for number in where), str(message)
    return "\0".join(text.replace("\0", "\\0") for text in texts).encode("utf-8", "backslashreplace")


def answer(name, source, optimize):
    try:
        return b"C", marshal.dumps(compile(source, name, "exec", dont_inherit=True, optimize=optimize))
    except Exception as error:
        return b"E", fields(error)


def main(optimize):
    receive, send, flush = sys.stdin.buffer.read, sys.stdout.buffer.write, sys.stdout.buffer.flush
    magic = int.from_bytes(_bootstrap_external.MAGIC_NUMBER[:2], "little")
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[3] != "final":
        version += sys.version_info[3] + str(sys.version_info[4])
    send(f"{sys.implementation.name} {version} {magic}\n".encode())
    flush()
    while True:
        head = receive(8)
        if len(head) < 8:
            return
        name = receive(int.from_bytes(head[:4], "little")).decode("utf-8", "backslashreplace")
        kind, content = answer(name, receive(int.from_bytes(head[4:], "little")), optimize)
        send(kind + len(content).to_bytes(4, "little"))
        send(content)
        flush()


main(int(sys.argv[1]))
