"""Prints the trees py-tree-sitter builds: for each `language<TAB>path` on stdin a line a node, then an empty line."""

import importlib
import sys

from tree_sitter import Language, Parser

MODULES = {
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
}


def parser(language: str) -> Parser:
    module, function = MODULES.get(language, (f"tree_sitter_{language}", "language"))
    return Parser(Language(getattr(importlib.import_module(module), function)()))


def word(text: str | None) -> str:
    return "" if text is None else text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def rows(tree):
    cursor = tree.walk()
    ordinal = 0
    parents: list[int] = []
    indexes: list[int] = [0]
    while True:
        node = cursor.node
        yield "\t".join(
            map(
                str,
                (
                    parents[-1] if parents else "",
                    word(node.type),
                    node.kind_id,
                    word(node.grammar_name),
                    node.grammar_id,
                    word(cursor.field_name),
                    indexes[-1],
                    int(node.is_named),
                    int(node.is_error),
                    int(node.is_missing),
                    int(node.is_extra),
                    int(node.has_error),
                    node.start_byte,
                    node.end_byte,
                    node.start_point.row + 1,
                    node.start_point.column,
                    node.end_point.row + 1,
                    node.end_point.column,
                ),
            )
        )
        ordinal += 1
        if cursor.goto_first_child():
            parents.append(ordinal - 1)
            indexes.append(0)
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return
            parents.pop()
            indexes.pop()
        indexes[-1] += 1


def main() -> None:
    parsers: dict[str, Parser] = {}
    out = sys.stdout
    for line in sys.stdin:
        language, path = line.rstrip("\n").split("\t")
        if language not in parsers:
            parsers[language] = parser(language)
        with open(path, "rb") as file:
            tree = parsers[language].parse(file.read())
        for row in rows(tree):
            out.write(row + "\n")
        out.write("\n")
        out.flush()


if __name__ == "__main__":
    main()
