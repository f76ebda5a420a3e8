def groups():
    try:
        groups()
    except* (OSError, ValueError) as group:
        print(group.exceptions)
    except* KeyError:
        raise
    else:
        return


def unpacked(*args: *tuple[int]) -> list[*tuple[int]]:
    return args[*args]
