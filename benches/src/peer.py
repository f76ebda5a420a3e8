"""What a data team writes by hand: a pool of processes over `ast.parse`, pyarrow, deltalake.

usage: peer.py ROOT OUT WORKERS    prints {"files": n, "rows": n} as JSON
"""

import ast
import json
import multiprocessing
import os
import sys

import deltalake
import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("repo", pa.string()),
        ("path", pa.string()),
        ("file_id", pa.int64()),
        ("ordinal", pa.int32()),
        ("parent_ordinal", pa.int32()),
        ("kind", pa.string()),
        ("field", pa.string()),
        ("field_index", pa.int32()),
        ("name", pa.string()),
        ("value", pa.string()),
        ("value_type", pa.string()),
        ("ctx", pa.string()),
        ("op", pa.string()),
        ("bstart", pa.int32()),
        ("bend", pa.int32()),
        ("lineno", pa.int32()),
        ("col_offset", pa.int32()),
        ("end_lineno", pa.int32()),
        ("end_col_offset", pa.int32()),
    ]
)
NAMES = ("id", "attr", "name", "arg", "module")


def line_starts(data):
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


def rows_of(root, path):
    with open(os.path.join(root, path), "rb") as file:
        data = file.read()
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError):
        return []
    starts = line_starts(data)
    file_id = hash(path)
    rows = []
    stack = [(tree, None, None, None)]
    while stack:
        node, parent, field, index = stack.pop()
        ordinal = len(rows)
        lineno = getattr(node, "lineno", None)
        end_lineno = getattr(node, "end_lineno", None)
        col, end_col = getattr(node, "col_offset", None), getattr(node, "end_col_offset", None)
        name = next((value for key in NAMES if isinstance(value := getattr(node, key, None), str)), None)
        value = value_type = None
        if isinstance(node, ast.Constant):
            value, value_type = str(node.value), type(node.value).__name__
        ctx, op = getattr(node, "ctx", None), getattr(node, "op", None)
        rows.append(
            (
                "bench",
                path,
                file_id,
                ordinal,
                parent,
                type(node).__name__,
                field,
                index,
                name,
                value,
                value_type,
                type(ctx).__name__ if ctx else None,
                type(op).__name__ if op else None,
                starts[lineno - 1] + col if lineno else None,
                starts[end_lineno - 1] + end_col if end_lineno else None,
                lineno,
                col,
                end_lineno,
                end_col,
            )
        )
        children = []
        for key, child in ast.iter_fields(node):
            if isinstance(child, (ast.expr_context, ast.boolop, ast.operator, ast.unaryop, ast.cmpop)):
                continue
            if isinstance(child, ast.AST):
                children.append((child, ordinal, key, None))
            elif isinstance(child, list):
                children.extend((c, ordinal, key, i) for i, c in enumerate(child) if isinstance(c, ast.AST) and not isinstance(c, ast.cmpop))
        stack.extend(reversed(children))
    return rows


def batch_of(work):
    root, paths = work
    rows = [row for path in paths for row in rows_of(root, path)]
    if not rows:
        return None
    # Bytes of UTF-8 that Arrow refuses, as in constants with lone surrogates.
    columns = [
        [v.encode("utf-8", "backslashreplace").decode() if isinstance(v, str) else v for v in column] if i == 9 else column
        for i, column in enumerate(zip(*rows))
    ]
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, SCHEMA)], schema=SCHEMA)


def main(root, out, workers):
    paths = sorted(
        os.path.relpath(os.path.join(directory, file), root)
        for directory, _, files in os.walk(root)
        for file in files
        if file.endswith(".py")
    )
    work = [(root, paths[i : i + 32]) for i in range(0, len(paths), 32)]
    rows = 0
    with multiprocessing.Pool(workers) as pool:

        def batches():
            nonlocal rows
            for batch in pool.imap_unordered(batch_of, work):
                if batch is not None:
                    rows += batch.num_rows
                    yield batch

        reader = pa.RecordBatchReader.from_batches(SCHEMA, batches())
        properties = deltalake.WriterProperties(compression="ZSTD", compression_level=3)
        deltalake.write_deltalake(out, reader, mode="overwrite", writer_properties=properties)
    json.dump({"files": len(paths), "rows": rows}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
