"""Counts the rows of every Delta table below a lake with three readers, each as its users open a table.

usage: readers.py LAKE TABLE...    prints {table: {reader: rows}} as JSON
"""

import importlib.resources
import json
import os
import sys

import deltalake
import duckdb
import polars


def duckdb_with_delta():
    connection = duckdb.connect()
    for name in ("httpfs", "delta"):
        package = importlib.resources.files(f"duckdb_extension_{name}")
        connection.execute(f"LOAD '{package}/extensions/v{duckdb.__version__}/{name}.duckdb_extension'")
    if "AWS_ENDPOINT_URL" in os.environ:
        endpoint = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
        connection.execute(
            f"""CREATE SECRET (TYPE S3, KEY_ID 'test', SECRET 'test', REGION 'us-east-1',
                URL_STYLE 'path', USE_SSL false, ENDPOINT '{endpoint}')"""
        )
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
