"""What LibCST with the providers that the lane `cst` equals does with the files of a directory, as JSON.

usage: libcst_throughput.py DIR [FILES]    the first FILES (100) in order of path; compare `--example throughput -- DIR cst`
"""

import json
import os
import sys
import time

import libcst as cst
from libcst import helpers
from libcst.metadata import (
    ByteSpanPositionProvider,
    ExpressionContextProvider,
    FullyQualifiedNameProvider,
    MetadataWrapper,
    ParentNodeProvider,
    QualifiedNameProvider,
    ScopeProvider,
)

PROVIDERS = (
    ByteSpanPositionProvider,
    ExpressionContextProvider,
    FullyQualifiedNameProvider,
    ParentNodeProvider,
    QualifiedNameProvider,
    ScopeProvider,
)


def main():
    root, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100
    walk = ((directory, names) for directory, _, names in os.walk(root))
    paths = sorted(os.path.join(directory, name) for directory, names in walk for name in names if name.endswith(".py"))
    sys.setrecursionlimit(5_000)
    files = size = refused = 0
    start = time.process_time()
    for path in paths[:count]:
        with open(path, "rb") as file:
            content = file.read()
        try:
            module = cst.parse_module(content)
        except cst.ParserSyntaxError:
            refused += 1
            continue
        names = helpers.calculate_module_and_package(root, path)
        wrapper = MetadataWrapper(module, unsafe_skip_copy=True, cache={FullyQualifiedNameProvider: names})
        try:
            resolved = wrapper.resolve_many(PROVIDERS)
        except ImportError:
            resolved = wrapper.resolve_many(set(PROVIDERS) - {FullyQualifiedNameProvider})
        # Qualified names are lazy: a reader asks for those of names, attributes and calls.
        for node, value in resolved[QualifiedNameProvider].items():
            if isinstance(node, (cst.Name, cst.Attribute, cst.Call)) and callable(value):
                value()
        files += 1
        size += len(content)
    seconds = time.process_time() - start
    report = {
        "libcst": getattr(cst, "LIBCST_VERSION", None),
        "files": files,
        "refused": refused,
        "bytes": size,
        "cpu_seconds": seconds,
        "mb_per_cpu_s": size / 1e6 / seconds,
    }
    print(json.dumps(report))


main()
