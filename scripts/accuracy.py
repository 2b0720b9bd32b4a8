#!/usr/bin/env python3
"""Measures the demand model's one-step forecasts in snapshots of
examples/checks/demand-sf.yaml and demand-nyc.yaml, beside two baselines, and
fails beyond the bars.

    accuracy.py sf=FOLDER nyc=FOLDER

A forecast made at F is for the window that ends at F + W. A cell without a row
at a window's end had no event in it. Mean Poisson deviance counts a forecast
below .001 as .001; the baselines' zeros count as .01.
"""
import sys
from dataclasses import dataclass

import duckdb


@dataclass
class City:
    chosen: tuple  # the cells with at least so many events from, to (UTC)
    cells: int  # how many cells that must give
    scored: tuple  # windows within [from, to), UTC
    deviance: float  # the bar
    misses: tuple | None  # the bounds of the share of missed intervals


CITIES = {
    # 15-minute windows, 2008-05-17 to 2008-06-05; the scored period begins when
    # the weights have been learnt for a week.
    "sf": City((100, "2008-05-17", "2008-05-24"), 81, ("2008-05-31", "2008-06-06"), 1.075, (0.09, 0.11)),
    # April and August in New York time.
    "nyc": City((50, "2014-04-01 04:00", "2014-05-01 04:00"), 79, ("2014-08-01 04:00", "2014-09-01 04:00"), 0.397, None),
}
WINDOW = "interval 15 minute"
SCORES = """
    avg(2 * (case when n > 0 then n * ln(n / m) else 0 end - (n - m))),
    avg(abs(n - m)), sum(abs(n - m)) / sum(n), avg(m - n)
"""


def main(arguments):
    given = dict(a.split("=", 1) for a in arguments if "=" in a)
    if not given or len(given) != len(arguments) or not set(given) <= set(CITIES):
        print(__doc__, file=sys.stderr)
        return 2
    problems = []
    print(f"{'city':5} {'forecast':28} {'deviance':>9} {'MAE':>7} {'WAPE':>7} {'bias':>8}")
    for name, folder in given.items():
        problems += [f"{name}: {p}" for p in measure(name, CITIES[name], folder)]
    for p in problems:
        print(p, file=sys.stderr)
    return 1 if problems else 0


def measure(name, city, folder):
    """Prints a city's lines and returns what is wrong with them."""
    con = duckdb.connect()
    con.sql("set timezone = 'UTC'")
    model, target = read(con, folder)
    grid(con, city)
    problems = []
    cells = con.sql("select count(*) from cells").fetchone()[0]
    if cells != city.cells:
        problems.append(f"{cells} cells are to be scored, not {city.cells}")
    absent = con.sql("select count(*) from scored where forecast is null").fetchone()[0]
    if absent:
        problems.append(f"{absent} forecasts are missing")
    deviance = None
    for label, expression in (
        (f"{model} of {target}", "greatest(forecast, .001)"),
        ("last value", "greatest(last, .01)"),
        ("same window last week", "greatest(week, .01)"),
    ):
        scores = con.sql(f"select {SCORES} from (select cast(n as double) n, {expression} m from scored)").fetchone()
        deviance = scores[0] if deviance is None else deviance
        print(f"{name:5} {label:28} {scores[0]:9.4f} {scores[1]:7.4f} {scores[2]:7.3f} {scores[3]:+8.4f}")
    share, judged = con.sql("select avg(miss), count(miss) from scored").fetchone()
    share = float("nan") if share is None else share
    print(f"{name:5} intervals missed: {share:.4f} of {judged} judged")
    if not deviance <= city.deviance:
        problems.append(f"the deviance is {deviance:.4f}, above {city.deviance}")
    if city.misses and not city.misses[0] <= share <= city.misses[1]:
        problems.append(f"the share of misses is {share:.4f}, outside {city.misses}")
    return problems


def read(con, folder):
    """Makes the tables counts(cell, ends, n) and made(cell, at, forecast, miss)
    of a snapshot, and returns the names of its model and target."""
    con.sql(f"create view snapshot as select * from read_parquet('{folder}/rows/**/*.parquet') where final")
    names = [row[0] for row in con.sql("describe snapshot").fetchall()]
    models = [n.removesuffix("_miss") for n in names if n.endswith("_miss")]
    targets = [n for n in names if n.startswith("n_k0_")]
    if len(models) != 1 or len(targets) != 1:
        raise SystemExit(f"{folder} has the columns {', '.join(names)}: expected one model and one count")
    model, target = models[0], targets[0]
    con.sql(
        f"create table counts as select cell, window_end at time zone 'UTC' as ends, {target} as n "
        "from snapshot"
    )
    # Rows between two steps of the model repeat the newest forecast.
    con.sql(
        f"create table made as select cell, make_timestamp({model}_at) as at, "
        f"any_value({model}) as forecast, any_value({model}_miss) as miss from snapshot "
        f"where {model}_at is not null group by all"
    )
    return model, target


def grid(con, city):
    """Makes the table scored: a line for each cell and window to be scored. Its
    miss is of this window, noted when it closed."""
    least, since, until = city.chosen
    start, stop = city.scored
    con.sql(
        f"create table cells as select cell from counts where ends > timestamp '{since}' "
        f"and ends <= timestamp '{until}' and minute(ends) % 15 = 0 and second(ends) = 0 "
        f"group by cell having sum(n) >= {least}"
    )
    con.sql(f"""
        create table scored as
        select cells.cell, w.ends, coalesce(c.n, 0) as n, m.forecast, closed.miss,
               coalesce(l.n, 0) as last, coalesce(k.n, 0) as week
        from cells cross join (
            select unnest(generate_series(timestamp '{start}' + {WINDOW}, timestamp '{stop}', {WINDOW})) as ends
        ) w
        left join counts c on c.cell = cells.cell and c.ends = w.ends
        left join counts l on l.cell = cells.cell and l.ends = w.ends - {WINDOW}
        left join counts k on k.cell = cells.cell and k.ends = w.ends - interval 7 day
        left join made m on m.cell = cells.cell and m.at = w.ends - {WINDOW}
        left join made closed on closed.cell = cells.cell and closed.at = w.ends
    """)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
