"""Reads a lake with three readers, each as its users open a table.

usage: readers.py LAKE TABLE...    prints {table: {reader: rows}} as JSON: how many rows each reader sees
       readers.py --views LAKE     reads {view: {"view_of": tables, "sql": query}} as JSON from stdin, and prints
                                   {view: {reader: rows}}: the rows themselves, as texts, in order
"""

import hashlib
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


def views(lake):
    connection = duckdb_with_delta()
    found = {}
    for name, view in json.load(sys.stdin).items():
        frames = {}
        for table in view["view_of"]:
            location = f"{lake}/{table}"
            connection.execute(f"CREATE OR REPLACE VIEW {table} AS SELECT * FROM delta_scan('{location}')")
            frames[table] = polars.scan_delta(location)
        found[name] = {
            "duckdb": sorted([str(cell) for cell in row] for row in connection.sql(view["sql"]).fetchall()),
            "polars": sorted([str(cell) for cell in row] for row in with_polars(view["sql"], frames).rows()),
        }
    json.dump(found, sys.stdout)


def with_polars(sql, frames):
    """Polars has no md5: the id of a name is made afterwards."""
    name_id = "'qname:' || md5(qname) AS qname_id, "
    frame = polars.SQLContext(frames).execute(sql.replace(name_id, ""), eager=True)
    if name_id in sql:
        md5 = lambda name: "qname:" + hashlib.md5(name.encode()).hexdigest()
        frame = frame.select(polars.col("qname").map_elements(md5, polars.String).alias("qname_id"), "qname")
    return frame


if sys.argv[1] == "--views":
    views(sys.argv[2])
else:
    main(sys.argv[1], sys.argv[2:])
