def patterns(subject):
    match subject:
        case 1 | -1 | "x" | None | True | 1+2j:
            return subject.value
        case [first, *rest] | (first, _, *rest) if first > 1:
            print(first, rest)
        case {"key": value, **others} | {1.5: value, **others}:
            print(value, others)
        case Point(x=0, y=captured) | other.Point(captured):
            print(captured)
        case [Point(), {"deep": [*_, last]}] as whole:
            print(whole, last)
        case module.CONSTANT:
            pass
        case _:
            raise TypeError


with (open("a") as a, open("b") as b,):
    print(a, b)

match = case = type = 1
match (match, case): 
    case _: print(type)

@decorators[0].of[case]
class Decorated: pass
