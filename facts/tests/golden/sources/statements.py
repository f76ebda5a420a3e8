"""Statements of every kind that Python 3.8 has."""
from __future__ import generator_stop

import os.path, sys as system
from . import sibling
from ..package.module import (first, second as other,)
from typing import *

counter: int = 0
undecided: "list[int]"
system.attribute: str = "x"
first.items[0], *rest = left, right = 1, 2, 3
counter += 1; counter -= 2; counter **= 3; counter //= 4; counter @= rest; counter >>= 1; counter |= 2
del left, (right), first.items[1:2], [rest]
pass
...


def function(a, b=1, *args: int, c, d: "str" = 'x', **kwargs: dict) -> None:
    """A docstring \
    over two lines."""
    global counter
    counter = a if b else c
    for a, b in zip(args, kwargs):
        if a:
            continue
        elif b > 1 > c != d:
            break
    else:
        return
    while counter and not a or b:
        counter -= 1
    else:
        assert a, f"{a!r:>{b}} {c=}"
    raise ValueError(a) from None


def handlers(a):
    try:
        with open(a) as f, a.lock, (a.other) as (b, a.c):
            return f.read(b)
    except (OSError, ValueError) as error:
        print(error, file=system.stderr)
    except KeyError:
        raise
    except:
        del a
    else:
        a = 1
    finally:
        for x in a:
            try:
                return x
            finally:
                print("leaving", *a, sep="", **x)


def outer(value, /, *, key=lambda x, *y, z=1, **w: (x, y, z, w)):
    inner = value

    def closure():
        nonlocal inner
        inner = [inner + x for x in value if x if key]
        return {x: lambda: (x, y, inner) for x, y in inner}

    class Local(closure().__class__, metaclass=type(value)):
        inner = inner
        __private = value

        def method(self):
            return super().method(self.__private, __class__)

        @property
        @key(1, x=2)
        def decorated(self): return (yield), (yield from self)

    return closure, Local


async def coroutine(stream):
    async with stream as s, s.next():
        async for x in s:
            yield await x
    result = [y async for y in stream if await y]
    print([await z for z in result], {k: v async for k, v in stream})


@other
@other.attribute(counter)
class Decorated(other, *rest, key=1, **kwargs):
    """Of a class."""
    field: int
    field, value = value, field

    def __init__(self): self.field = self.__value = None


if __name__ == "__main__": function(1); handlers(2)
