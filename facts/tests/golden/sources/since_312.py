type Alias = int | str
type Generic[T, *Ts, **P] = dict[T, tuple[*Ts]] | Callable[P, lambda: T]


def function[T: (int, str), U: "bound"](x: T, y: U = None) -> T:
    return [T for T in x if U]


class Container[T](list[T], key=lambda: T):
    item: T

    def method[U](self, x: U) -> Container[U]:
        type Local = tuple[T, U, __class__]
        return {x: self for x in self.items}, [super().x for _ in x]


print(f"{'a' 'b'!r:{'>'}{10}} {f"{f"{1}"}"} {x = } { [y for y in x] }\
{
    x  # a comment
}")
