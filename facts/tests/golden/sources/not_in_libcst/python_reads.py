(parenthesised): int = 1


class Base(key=1, *bases): pass
