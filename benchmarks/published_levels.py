"""Published and independently computed answers on stock levels, each beside ours.

The data lie in the folder that SPAREPLAN_TEST_DATA names (its README tells the sources); nothing is copied.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spareplan.results import StockLevels
from spareplan.stocking import evaluate_levels, expected_backorders, solve_levels
from spareplan.stocking.marginal import marginal_allocation
from spareplan.stocking.policy import best_order_policy

FloatArray = NDArray[np.float64]
DAYS = 365.25
# Answers computed to the last digit; tables print four or five.
COMPUTED = 1e-8


class Compared(NamedTuple):
    """Answers of one kind beside ours.

    Parameters
    ----------
    what, source : str
    ours, theirs : ndarray, shape (answers,)
        In the unit of `what`.
    allowed : float
        Difference that the printed digits leave open.
    """

    what: str
    source: str
    ours: FloatArray
    theirs: FloatArray
    allowed: float

    @property
    def difference(self) -> float:
        """Largest difference, or infinite where one of both knows no answer."""
        known = ~(np.isnan(self.ours) & np.isnan(self.theirs))
        return float(np.nan_to_num(np.abs(self.ours - self.theirs)[known], nan=np.inf).max(initial=0.0))


class OtherModel(NamedTuple):
    """Answers of a model that spareplan does not have, and why."""

    what: str
    source: str
    why: str


OTHER_MODELS = [
    OtherModel(
        "(r, Q) for normal demand", "Snyder and Shen, example 5.1", "normal demand; pieces are counted here"
    ),
    OtherModel(
        "serial system, normal demand",
        "Snyder and Shen, example 6.1",
        "a demand less spread than Poisson's counts as Poisson",
    ),
    OtherModel(
        "guaranteed service, a tree and four networks",
        "Snyder and Shen, example 6.5; Graves and Willems",
        "demand with an upper bound, stock that never runs out, assembly",
    ),
]


def data_folder() -> Path:
    """Folder of the outside answers."""
    return Path(os.environ["SPAREPLAN_TEST_DATA"]) / "stocking"


def tree_tables(
    parent: ArrayLike, lead: ArrayLike, demand: ArrayLike, stock: ArrayLike
) -> tuple[pd.DataFrame, ...]:
    """Sites, parts, rates and levels of one part; lead[0] is the supplier's. [days, pieces a day, pieces]."""
    above, days, per_day = np.asarray(parent), np.asarray(lead, float), np.asarray(demand, float)
    names = np.array([f"S{n:02d}" for n in range(len(above))])
    sites = pd.DataFrame(
        {
            "site_id": names,
            "parent_id": np.where(above < 0, None, names[above]),
            "lead_time_days": np.r_[0.0, days[1:]],
        }
    )
    parts = pd.DataFrame({"part_id": ["P1"], "lead_time_days": days[:1], "unit_cost": [1.0]})
    rates = pd.DataFrame({"part_id": "P1", "site_id": names, "demand_per_day": per_day})
    levels = pd.DataFrame({"part_id": "P1", "site_id": names, "base_stock": np.asarray(stock, int)})
    return sites, parts, rates[per_day > 0], levels


def compare_all(folder: Path) -> Iterator[Compared]:
    """Every answer the folder holds beside ours."""
    yield from losses(folder)
    yield from course_tables(folder)
    yield from order_quantities(folder)
    yield from five_bases(folder)
    yield from serial_system(folder)
    yield from trees(folder)
    yield from optima(folder)


def losses(folder: Path) -> Iterator[Compared]:
    """Expected backorders of one shelf, Poisson and negative binomial."""
    table = pd.read_csv(folder / "ebo_grid_stockpyl.csv")
    for law, rows in table.groupby("distribution"):
        ours = expected_backorders(rows["stock"], rows["mean"], rows["variance"])
        theirs = rows["expected_backorders"].to_numpy(dtype=float)
        yield Compared(f"backorders of one shelf, {law} [pieces]", "stockpyl 1.0.2", ours, theirs, COMPUTED)


def course_tables(folder: Path) -> Iterator[Compared]:
    """One base with nine parts: backorders, efficient points, best use of a budget."""
    case = _read(folder / "kth_sf2863_2021_single_site.json")
    mean, cost = np.multiply(case["lam_per_hour"], case["T_hours"]), np.array(case["cost"], float)
    source = "KTH course SF2863, 2021"
    points = case["published_marginal_allocation"]
    printed = points + case["published_dp"]
    ours = np.array([expected_backorders(point["s"], mean).sum() for point in printed])
    yield Compared("backorders of given levels [pieces]", source, ours, _column(printed, "EBO"), 6e-5)
    path = marginal_allocation(cost, mean, points[-1]["cost"]).set_index("cost")["ebo"]
    reached = path.reindex(_column(points, "cost")).to_numpy()
    yield Compared("efficient points by greedy steps [pieces]", source, reached, _column(points, "EBO"), 6e-5)
    bought = [_best_for(mean, cost, point["budget"]) for point in case["published_dp"]]
    theirs = _column(list(case["dp_reverified_by_us"].values()), "EBO")
    yield Compared("best use of a budget [pieces]", f"{source}, checked", np.array(bought), theirs, COMPUTED)


def order_quantities(folder: Path) -> Iterator[Compared]:
    """Reorder point, order quantity and cost for Poisson demand."""
    case = _read(folder / "rq_poisson_example_5_8.json")
    costs = (case["holding_cost"], case["stockout_cost"], case["fixed_cost"])
    best = best_order_policy(case["demand_mean"], case["lead_time"], *costs)
    theirs = np.array([case["r"], case["Q"], case["cost"]])
    yield Compared(
        "(r, Q) and its cost [pieces, money]",
        "Snyder and Shen, example 5.8",
        np.array([best.reorder_point, best.order_quantity, best.cost]),
        theirs,
        1e-7,
    )


def five_bases(folder: Path) -> Iterator[Compared]:
    """Depot and five bases that repair a fifth themselves."""
    case = _read(folder / "sherbrooke_metric_5bases.json")
    given = case["inputs"]
    lead = np.r_[given["depot_repair_time"], np.full(given["bases"], given["order_and_ship_time"])] * DAYS
    demand = np.r_[0.0, np.full(given["bases"], given["demand_per_year"] / DAYS)]
    for method, key in (("exact", "exact"), ("two_moment", "varimetric"), ("metric", "metric")):
        answers = [row[key] for row in case["rows"]]
        ours = []
        for answer in answers:
            sites, parts, rates, levels = tree_tables(
                np.r_[-1, np.zeros(given["bases"], int)], lead, demand, [answer["s0"], *answer["S"]]
            )
            rates["repair_share_site"] = given["prob_base_repair"]
            rates["repair_days_site"] = given["base_repair_time"] * DAYS
            ours.append(evaluate_levels(sites, parts, rates, levels, method=method)["ebo"].iloc[1:].sum())
        yield Compared(
            f"depot and five bases, {method} [pieces]",
            "inputs of Sherbrooke (2004), ch. 3",
            np.array(ours),
            _column(answers, "EBO"),
            COMPUTED,
        )


def serial_system(folder: Path) -> Iterator[Compared]:
    """Three stages in a row: cost of the published levels, and no neighbour is cheaper."""
    case = _read(folder / "ssm_serial_example_6_1.json")
    stages = sorted(case["data"]["example_6_1"]["_nodes"], key=lambda node: -node["_index"])
    answer = case["example_6_1"]["poisson_variant"]
    echelon = np.array([answer["S"][str(node["_index"])] for node in stages])
    local = echelon - np.r_[echelon[1:], 0]
    best = serial_cost(stages, local)
    steps = np.array(np.meshgrid(*[[-1, 0, 1]] * len(local))).reshape(len(local), -1).T
    cheapest = min(serial_cost(stages, local + step) for step in steps)
    yield Compared(
        "serial system, cost of its levels and the least around them [money]",
        "Snyder and Shen, example 6.1, Poisson",
        np.array([best, cheapest]),
        np.full(2, answer["cost"]),
        # The published cost cuts the demand at a few standard deviations; ours sums over all of it.
        5e-3,
    )


def serial_cost(stages: list[dict[str, Any]], stock: FloatArray) -> float:
    """Money per day for pieces on the shelf and on the way, and for waiting customers at the last stage."""
    demand = stages[-1]["demand_source"]["mean"]
    lead = [float(node["shipment_lead_time"]) for node in stages]
    count = len(stages)
    table = evaluate_levels(
        *tree_tables(np.arange(count) - 1, lead, np.r_[np.zeros(count - 1), demand], stock)
    )
    table = table.set_index("site_id").sort_index()
    holding = np.array([node["local_holding_cost"] for node in stages], float)
    # What is on the way to a stage belongs to the stage that sent it.
    sent = holding[:-1] @ (demand * np.array(lead[1:]))
    return float(holding @ table["on_hand"] + sent + stages[-1]["stockout_cost"] * table["ebo"].iloc[-1])


def trees(folder: Path) -> Iterator[Compared]:
    """Two and three echelons: backorders, fill rates, waits and shares within given times."""
    source = "independent evaluator"
    found: dict[str, list[tuple[FloatArray, FloatArray]]] = {}
    for name, tables, truth in _tree_cases(folder):
        times = truth.pop("times")
        ours = evaluate_levels(*tables, times=times).set_index("site_id").sort_index()
        for column, theirs in truth.items():
            if column.startswith(("metric", "two_moment")):
                method = column.removesuffix(" backorders [pieces]")
                other = evaluate_levels(*tables, method=method).set_index("site_id").sort_index()
                pair = other["ebo"].loc[theirs.index]
            elif column == WAITS:
                pair = pd.Series(ours.loc[theirs.index, [f"wait_le_{t:g}" for t in times]].to_numpy().ravel())
                theirs = pd.Series(np.vstack(theirs).ravel())
            else:
                pair = ours.loc[theirs.index, OURS[column]]
            found.setdefault(f"{name}, {column}", []).append((pair.to_numpy(), theirs.to_numpy(dtype=float)))
    for what, pairs in found.items():
        mine, theirs = (np.concatenate(side) for side in zip(*pairs))
        yield Compared(what, source, mine, theirs, COMPUTED)


WAITS = "share served within a time"
OURS = {"backorders [pieces]": "ebo", "fill rate": "fill_rate", "mean wait [days]": "mean_wait_days"}


def _tree_cases(folder: Path) -> Iterator[tuple[str, tuple[pd.DataFrame, ...], dict[str, Any]]]:
    for case in _read(folder / "two_echelon_exact.json")["instances"]:
        bases = len(case["lam"])
        tables = tree_tables(
            np.r_[-1, np.zeros(bases, int)],
            [case["L0"], *case["Lj"]],
            [0.0, *case["lam"]],
            [case["S0"], *case["S"]],
        )
        everywhere, below = tables[0]["site_id"], tables[0]["site_id"].iloc[1:]
        yield (
            "two echelons",
            tables,
            {
                "times": case["t"],
                "backorders [pieces]": pd.Series([case["EBO0"], *case["EBO"]], everywhere),
                "fill rate": pd.Series([case["fill0"], *case["fill"]], everywhere),
                "mean wait [days]": pd.Series(case["wait"], below),
                WAITS: pd.Series(case["P_wait_le_t"], below),
                "metric backorders [pieces]": pd.Series(case["EBO_metric"], below),
                "two_moment backorders [pieces]": pd.Series(case["EBO_varimetric"], below),
            },
        )
    for case in _read(folder / "three_echelon_exact.json")["instances"]:
        tables = tree_tables(case["parent"], case["L"], case["lam_ext"], case["S"])
        names = tables[0]["site_id"]
        waits = pd.Series({names[int(site)]: shares for site, shares in case["P_wait_le_t"].items()})
        yield (
            "three echelons",
            tables,
            {
                "times": case["t"],
                "backorders [pieces]": pd.Series(case["EBO"], names),
                "fill rate": pd.Series(case["fill"], names),
                "mean wait [days]": pd.Series(case["wait"], names),
                WAITS: waits,
            },
        )


def optima(folder: Path) -> Iterator[Compared]:
    """Least money: two tiny cases with proven optima, 500 parts at 8 stations."""
    cases = _read(folder / "tiny_optima.json")["instances"]
    found = [solve_levels(*tiny_tables(case)) for case in cases]
    source = "complete enumeration"
    theirs = _column(cases, "optimal_cost")
    yield Compared(
        "least money of 6 parts at 2 stations", source, np.array([f.cost for f in found]), theirs, 1e-6
    )
    bounds = np.array([f.lower_bound for f in found])
    # A bound may be sharper than the linear programme's, but never above the optimum.
    lp = _column(cases, "lp_bound")
    over = np.clip(bounds / lp - 1, 0.0, theirs / lp - 1)
    yield Compared("their bound, relative to the linear programme's", source, bounds / lp - 1, over, 5e-4)


def large_case(folder: Path) -> tuple[StockLevels, dict[str, float]]:
    """Plan 500 parts at 8 stations, beside what an independent search found."""
    names = ("sites", "parts", "rates", "targets")
    tables = [pd.read_csv(folder / "levels_500x8" / f"{name}.csv") for name in names]
    return solve_levels(*tables), _read(folder / "levels_500x8" / "bounds.json")


def tiny_tables(case: dict[str, Any]) -> tuple[pd.DataFrame, ...]:
    """Sites, parts, rates and targets of a case of tiny_optima.json."""
    rate = np.array(case["lam"])
    names = np.array([f"S{j}" for j in range(rate.shape[1])])
    items = np.array([f"p{i}" for i in range(rate.shape[0])])
    sites = pd.DataFrame(
        {
            "site_id": np.r_[["HQ"], names],
            "parent_id": [None] + ["HQ"] * len(names),
            "lead_time_days": [0.0, *case["Lj"]],
        }
    )
    parts = pd.DataFrame({"part_id": items, "unit_cost": case["h"], "lead_time_days": case["L0"]})
    rates = pd.DataFrame(
        {
            "part_id": np.repeat(items, len(names)),
            "site_id": np.tile(names, len(items)),
            "demand_per_day": rate.ravel(),
        }
    )
    return sites, parts, rates, pd.DataFrame({"site_id": names, "target_wait_days": case["W"]})


def _best_for(mean: FloatArray, cost: FloatArray, budget: float) -> float:
    """Backorders that a budget leaves at one site."""
    sites = pd.DataFrame({"site_id": ["HQ"], "parent_id": [None], "lead_time_days": [0.0]})
    items = [f"p{i}" for i in range(len(mean))]
    parts = pd.DataFrame({"part_id": items, "unit_cost": cost, "lead_time_days": mean})
    rates = pd.DataFrame({"part_id": items, "site_id": "HQ", "demand_per_day": 1.0})
    return float(solve_levels(sites, parts, rates, budget=float(budget)).table["ebo"].sum())


def _column(rows: list[dict[str, Any]], name: str) -> FloatArray:
    return np.array([row[name] for row in rows], dtype=float)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
