"""Back-tests of the forecast from machines: field data, sample fleets, made-up fleets.

``python benchmarks/bench_fleets.py [field] [samples] [truth] [simulated]``; none named: all. Field data needs
SPAREPLAN_TEST_DATA and is left out without it. Errors are per part and origin, as a share of what came;
`noise` is the standard error of `to_rate`, the difference to the mean rate's error. Asserts nothing.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path

import pandas as pd
from field_fleets import back, data_folder, field_fleets
from simulated_fleets import KINDS, TODAY, simulated_fleet

import spareplan as sp
from spareplan.forecast.fleet_backtest import FleetBacktest, backtest_fleet
from spareplan.forecast.fleet_scores import randomised_places

SAMPLES = Path(__file__).parents[1] / "data" / "samples"
SHOWN = ["forecast", "cells", "actual", "wape", "bias", "c80", "c95", "log_score", "to_rate", "noise", "won"]


def show(name: str, report: FleetBacktest, began: float) -> None:
    """Print the scores of one fleet, and how far it follows the ages."""
    weights = report.table.groupby("origin")[["weight", "weight_record"]].mean()
    said, record = (", ".join(f"{weight:.2f}" for weight in weights[column]) for column in weights)
    took = time.perf_counter() - began
    print(f"\n{name}: weight of ages by origin {said}, of the own record {record}; {took:.1f} s")
    print(report.scores()[SHOWN].round(3).to_string(index=False))
    if (report.table["actual"] > report.table["actual_failures"]).any():
        failures = report.scores(what="failures")
        shown = [column for column in SHOWN if column in failures]
        print("failures alone:")
        print(failures[shown].round(3).to_string(index=False))


def field() -> None:
    """Fleets of the outside data."""
    if "SPAREPLAN_TEST_DATA" not in os.environ:
        print("field data left out: SPAREPLAN_TEST_DATA is not set")
        return
    for name, fleet in field_fleets(data_folder()).items():
        began = time.perf_counter()
        until = fleet.origins[-1] + pd.Timedelta(days=fleet.days)
        report = backtest_fleet(fleet.data, fleet.origins, fleet.days, until=until)
        show(f"{name} ({fleet.what}, {fleet.days} days)", report, began)


def samples() -> None:
    """Sample fleets, whose records were simulated from known lives."""
    for name in ("delivery_pump", "overseas_rail"):
        data = sp.read_dataset(SAMPLES / name)
        end = data.as_of()
        # The last quarter is not wholly reported where reports come late.
        late = data.replacements["reported_on"].notna().any()
        end = end - pd.Timedelta(days=60) if late else end
        for days, origins in ((91, 4), (365, 2)):
            began = time.perf_counter()
            report = backtest_fleet(data, back(end, origins, days), days, until=end)
            show(f"{name}, {days} days", report, began)
            print("by failures seen before, 80 and 95 % bands and bias of the published forecast:")
            classes = report.scores("part_class")
            own = classes[classes["forecast"] == "published"]
            print(own[["part_class", "cells", "wape", "bias", "c80", "c95"]].round(3).to_string(index=False))


def truth() -> None:
    """The year after the records of the delivery pump sample, which its folder of truths tells."""
    data = sp.read_dataset(SAMPLES / "delivery_pump")
    ids = {"part_id": str, "site_id": str}
    came = pd.read_csv(SAMPLES / "delivery_pump" / "truth" / "next_year.csv", dtype=ids)
    began = time.perf_counter()
    demand = sp.forecast_demand(data, months=12)
    seconds = time.perf_counter() - began
    machines = demand.table["method"].str.startswith("installed base")
    keys = demand.table.loc[machines, ["part_id", "site_id"]].drop_duplicates()
    year = demand.lead_time_demand(365.0).merge(keys, on=["part_id", "site_id"])
    taken = came.groupby(["part_id", "site_id"])["quantity"].sum().rename("actual").reset_index()
    year = year.merge(taken, how="left", on=["part_id", "site_id"]).fillna({"actual": 0.0})
    print(f"\ndelivery_pump, the year after the records (known truth), forecast in {seconds:.1f} s")
    year["random"], year["shared"] = year["vmr"] * year["mean"], year["rate_cv2"] ** 0.5 * year["mean"]
    parts = year.groupby("part_id")[["mean", "actual", "random", "shared"]].sum()
    parts["variance"] = parts["random"] + parts["shared"] ** 2
    for name, rows in {"part and site": year, "part": parts}.items():
        y, mean, variance = (rows[column].to_numpy(float) for column in ("actual", "mean", "variance"))
        place = randomised_places(y, mean, variance)
        inside = [((place > tail) & (place < 1 - tail)).mean() for tail in (0.1, 0.025)]
        print(
            f"per {name}: {len(y)} cells, {y.sum():,.0f} taken, {mean.sum():,.0f} expected, WAPE "
            f"{abs(mean - y).sum() / y.sum():.3f}, bias {mean.sum() / y.sum() - 1:+.3f}, "
            f"c80 {inside[0]:.3f}, c95 {inside[1]:.3f}"
        )


def simulated() -> None:
    """Made-up fleets of every kind that the tuning has not seen (other seeds)."""
    tables = []
    for kind in KINDS:
        for months in (9, 26):
            for seed in (100, 101):
                data, every = simulated_fleet(kind, seed, months, parts=10, machines=60)
                known = every[["unit_id", "part_id", "replaced_on", "planned"]]
                later = data.tables | {"replacements": _with_defaults(known, data.replacements)}
                whole = type(data)(later, data.given, data.network)
                report = backtest_fleet(whole, [TODAY], 91, until=TODAY + pd.Timedelta(days=91))
                tables.append(report.table.assign(kind=kind, records=months))
    print("\nmade-up fleets, 91 days, 10 parts on 60 machines, 2 fleets of each")
    every = pd.concat(tables, ignore_index=True)
    rows = []
    for (kind, months), part in every.groupby(["kind", "records"], sort=True):
        report = FleetBacktest(part.reset_index(drop=True), pd.DataFrame())
        scores = report.scores().set_index("forecast")
        wape = scores["wape"].reindex(["published", "ages", "mean_rate", "own_record"])
        own = scores.loc["published"]
        rows.append(
            {
                "kind": kind,
                "records": f"{months} months",
                **wape.to_dict(),
                **own[["bias", "c80", "c95", "to_rate", "noise"]].to_dict(),
                **part[["weight", "weight_record"]].mean(),
            }
        )
    print(pd.DataFrame(rows).round(3).to_string(index=False))


def _with_defaults(rows: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """Rows with all columns of the checked table, defaults filled in."""
    out = rows.reindex(columns=like.columns).assign(quantity=1.0)
    for column in like.columns:
        out[column] = out[column].astype(like[column].dtype)
    return out.reset_index(drop=True)


def main() -> None:
    warnings.simplefilter("ignore")
    pd.set_option("display.width", 200)
    chosen = sys.argv[1:] or ["field", "samples", "truth", "simulated"]
    for name, run in {"field": field, "samples": samples, "truth": truth, "simulated": simulated}.items():
        if name in chosen:
            run()


if __name__ == "__main__":
    main()
