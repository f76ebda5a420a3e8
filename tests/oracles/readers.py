"""Counts the rows of every Delta table below a lake with three readers, each as its users open a table.

usage: readers.py LAKE TABLE...    prints {table: {reader: rows}} as JSON
"""

import importlib.resources
import json
import sys

import deltalake
import duckdb
import polars


def duckdb_with_delta():
    package = importlib.resources.files("duckdb_extension_delta")
    extension = package / "extensions" / f"v{duckdb.__version__}" / "delta.duckdb_extension"
    connection = duckdb.connect()
    connection.execute(f"LOAD '{extension}'")
    return connection


def main(lake, tables):
    connection = duckdb_with_delta()
    counts = {}
    # Whole tables, not counts: those would come from the log alone.
    for table in tables:
        location = f"{lake}/{table}"
        counts[table] = {
            "duckdb": connection.sql(f"SELECT * FROM delta_scan('{location}')").to_arrow_table().num_rows,
            "polars": polars.read_delta(location).height,
            "deltalake": deltalake.DeltaTable(location).to_pyarrow_table().num_rows,
        }
    json.dump(counts, sys.stdout)


main(sys.argv[1], sys.argv[2:])
