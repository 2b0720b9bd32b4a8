"""Reads an export of the state of sf-taxi.yaml with DuckDB and pandas, and holds
it against the input that the state was made of.

usage: state_check.py EXPORT INPUT.csv.gz
"""

import sys

import duckdb
import pandas

export, events = sys.argv[1:]
con = duckdb.connect()
con.sql("set timezone = 'UTC'")
FILES = ["offsets", "frontiers", "dedup", "panes", "windows", "models", "forecasts"]
TYPES = {
    "cell": "UBIGINT", "territory": "UBIGINT", "h3": "VARCHAR", "events": "BIGINT", "occ": "DECIMAL(38,0)", "own": "BOOLEAN",
    "value": "DOUBLE[]", "position": "BIGINT", "watermark": "TIMESTAMP WITH TIME ZONE", "pane_start": "TIMESTAMP WITH TIME ZONE",
    "key_taxi_id": "VARCHAR",
}
seen = set()
for name in FILES:
    con.sql(f"create view {name} as select * from '{export}/{name}.parquet'")
    for column, kind, *_ in con.sql(f"describe {name}").fetchall():
        seen.add(column)
        if column in TYPES and kind != TYPES[column]:
            sys.exit(f"{name}.{column} is {kind}, not {TYPES[column]}")
    frame, rows = pandas.read_parquet(f"{export}/{name}.parquet"), con.sql(f"select count(*) from {name}").fetchone()[0]
    if len(frame) != rows or rows == 0:
        sys.exit(f"{name}: {rows} rows, pandas has {len(frame)}")
    print(f"{name}: {rows} rows")
if missing := set(TYPES) - seen:
    sys.exit(f"no column is called {missing}")

# Of what was read, each taxi counts once a minute: in dedup while the minute is
# open, and then in the panes of the cell's own territory.
con.sql(f"""
    create table wanted as
    select to_timestamp(ts // 60 * 60) as minute, count(distinct taxi_id) as n
    from (select * from read_csv('{events}') limit {con.sql("select position from offsets").fetchone()[0]}) where occupied >= 0 group by 1
""")
wrong = con.sql("""
    with held as (
        select pane_start as minute, sum(events) as n from panes where own group by 1
        union all select span_start, count(*) from dedup group by 1
    )
    select minute, held.n, wanted.n from held full join wanted using (minute)
    where held.n is distinct from wanted.n and (held.n is not null or minute >= (select final from frontiers where kind = 'committed'))
""").fetchall()
if wrong:
    sys.exit(f"held and wanted: {wrong}")

# The queries of docs/operations.md.
text = open("docs/operations.md").read().split("## Looking at the state")[1].split("\n## ")[0]
queries = [q.split("```")[0] for q in text.split("```sql\n")[1:]]
for query in queries:
    answer = con.sql(query.replace("exported/", export + "/")).fetchall()
    if not answer:
        sys.exit(f"no answer to {query}")
if len(queries) != 2:
    sys.exit(f"{len(queries)} queries")
