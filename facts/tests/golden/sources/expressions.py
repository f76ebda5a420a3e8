# -*- coding: utf-8 -*-
'Expressions of every kind that Python 3.8 has.'
numbers = 0, 1_000, 0xff, 0o17, 0b11, 1e10, .5, 1j, -1, 10 ** 30, 1.0e-7, -0.0, 2 ** 70
texts = "a" 'b' r"\d", b"\x00" if numbers else b"a" b"b", u"é\N{EM DASH}\ud800", """
multi""", f"{numbers}{texts!s:>{numbers}}{{}}" "tail" f"{'nested'}"
constants = None, True, False, ..., (), (1, (2, "x")), frozenset
containers = [], [1, *numbers], {1, 2}, {*texts}, {}, {1: 2, **{}}, (1,), ((1))
operators = (numbers + 1 - 2 * 3 / 4 // 5 % 6 @ numbers << 1 >> 2 & 3 | 4 ^ 5) ** ~-+1
comparisons = 1 < 2 <= 3 == 4 != 5 > 6 >= 7 is 8 is not 9 in numbers not in texts
booleans = not numbers and texts or constants and (containers or operators) if comparisons else booleans
slices = numbers[0], numbers[:], numbers[1:2:3], numbers[..., 1:], numbers[-1][::2]
calls = print(), print(1, *numbers, 2, end="", **{}), print(x for x in numbers), print(numbers)(texts).a.b(1)
calls.method(1).other(
    2,
    key=3,
).third(*texts, **{"a": 1})
chained = (calls
           .first(1)  # a comment
           .second([2]))
lambdas = lambda: 0, lambda x, /, y=1, *z, w, **v: (x, y, z, w, v), lambda *, a: a
if (walrus := len(texts)) > 10: print(walrus)
comprehensions = [x for x in numbers], {x for x in texts if x}, {k: v for k in numbers for v in texts if k if v}
generators = (x for x in (y for y in numbers) if (last := x)), [[z for z in w] for w in numbers]
naïve = {"ключ": numbers}["ключ"]; ﬁne = naïve
print(naïve, fine, numbers in {1, 2, 3}, texts not in ("a", "b"), [1, 2, 3][0], "%s-%r" % (1, 2))
def unreachable():
    if 0: print("never")
    while 1: print("ever")
    return __debug__
