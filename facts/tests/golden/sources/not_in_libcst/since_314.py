def templates(name):
    return t"{name!r:>{name}} {name = } {[name for name in name]}" t"{(lambda: name)()}" rt"\{name}"


def handled():
    try:
        handled()
    except* OSError, ValueError:
        pass


def caught():
    try:
        caught()
    except OSError, ValueError:
        return
    finally:
        print(caught)


class Annotated[T = int, *Ts = *tuple[int], **P = [T]]:
    item: T
    other: Annotated | [T for T in item]
    if item:
        conditional: (lambda: __class__)

    def method(self, x: item, *args: *Ts, **kwargs: P.kwargs) -> other:
        local: x = [self for x in x]
        return local


if handled:
    maybe: Annotated[later]
later: [maybe for maybe in later]
