"""What planners and grades ask of single levels: fixed base stocks, floors, ceilings, whole packs at HQ."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.config import StockingOptions
from spareplan.errors import DataError, Problem
from spareplan.maths.units import DAYS_PER_YEAR
from spareplan.stocking._faults import missing_columns, rows_problem, unknown_labels
from spareplan.stocking._reading import numbers

PAIR = ["part_id", "site_id"]
LIMIT_COLUMNS = [*PAIR, "at_least", "at_most", "at_hq", "who"]
PLANNER, GRADE = "planner", "vital parts"


def read_limits(
    fixed: pd.DataFrame | None,
    bounds: pd.DataFrame | None,
    parts: pd.DataFrame,
    sites: pd.DataFrame,
) -> pd.DataFrame:
    """Check levels that planners have set, and floors and ceilings, and make one table of them.

    Parameters
    ----------
    fixed : DataFrame or None
        part_id, site_id, base_stock. [pieces]
    bounds : DataFrame or None
        part_id, site_id, at_least and/or at_most (empty: none). A fixed base stock goes before them. [pieces]
    parts, sites : DataFrame
        As in `solve_levels`.

    Returns
    -------
    DataFrame
        LIMIT_COLUMNS, a row per part x site; who is PLANNER.

    Raises
    ------
    DataError
        Unknown ids, doubled rows, no whole pieces, floors above ceilings: all at once.
    """
    problems, found = _read(fixed, bounds, parts, sites)
    if problems:
        raise DataError(problems)
    if not found:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in LIMIT_COLUMNS}).astype(
            {"at_least": float, "at_most": float, "at_hq": bool}
        )
    every = pd.concat(found, ignore_index=True).drop_duplicates(PAIR, keep="first")
    top = sites.loc[sites["parent_id"].isna(), "site_id"]
    return every.assign(at_hq=every["site_id"].isin(top), who=PLANNER).reset_index(drop=True)


def planner_problems(
    fixed: pd.DataFrame | None, bounds: pd.DataFrame | None, parts: pd.DataFrame, sites: pd.DataFrame
) -> list[Problem]:
    """Faults that `read_limits` refuses."""
    return _read(fixed, bounds, parts, sites)[0]


def _read(
    fixed: pd.DataFrame | None, bounds: pd.DataFrame | None, parts: pd.DataFrame, sites: pd.DataFrame
) -> tuple[list[Problem], list[pd.DataFrame]]:
    problems: list[Problem] = []
    found = []
    if fixed is not None and len(fixed):
        problems += missing_columns("fixed", fixed, [*PAIR, "base_stock"])
        if not problems:
            level = whole_pieces(fixed, "base_stock", "fixed", problems, 0.0)
            found.append(fixed[PAIR].assign(at_least=level, at_most=level))
            problems += _unknown("fixed", fixed, parts, sites)
    if bounds is not None and len(bounds):
        missing = missing_columns("bounds", bounds, PAIR)
        problems += missing
        if not missing:
            low = whole_pieces(bounds, "at_least", "bounds", problems, 0.0)
            high = whole_pieces(bounds, "at_most", "bounds", problems, np.nan)
            found.append(bounds[PAIR].assign(at_least=low, at_most=high))
            problems += _unknown("bounds", bounds, parts, sites)
            problems += rows_problem(
                "bounds", bounds, "at_least", low > high, "is above at_most", "mend one of them"
            )
    return problems, found


def with_vital_floors(
    limits: pd.DataFrame, rates: pd.DataFrame, graded: pd.DataFrame, sites: pd.DataFrame, pieces: int
) -> pd.DataFrame:
    """Add a floor for vital parts wherever they are asked for; planners' rows stay as they are.

    Parameters
    ----------
    limits : DataFrame
        From `read_limits`.
    rates : DataFrame
        part_id, site_id, demand_per_day: the sites' own demand.
    graded : DataFrame
        Indexed by part_id: criticality.
    sites : DataFrame
    pieces : int
        Least level of vital parts; 0: none. [pieces]

    Returns
    -------
    DataFrame
        LIMIT_COLUMNS; who is GRADE in the rows added.
    """
    if pieces <= 0 or "criticality" not in graded:
        return limits
    vital = graded.index[(graded["criticality"] == "vital").fillna(False).to_numpy(dtype=bool)]
    asked = rates.loc[(rates["demand_per_day"] > 0) & rates["part_id"].isin(vital), PAIR]
    known = pd.MultiIndex.from_frame(asked).isin(pd.MultiIndex.from_frame(limits[PAIR]))
    asked = asked[~known]
    top = sites.loc[sites["parent_id"].isna(), "site_id"]
    floors = asked.assign(at_least=float(pieces), at_most=np.nan, at_hq=asked["site_id"].isin(top), who=GRADE)
    return pd.concat([limits, floors], ignore_index=True) if len(limits) else floors.reset_index(drop=True)


def with_limited_rows(rates: pd.DataFrame, limits: pd.DataFrame) -> pd.DataFrame:
    """Rates with a row without demand for every level or floor that has none, so that it is published."""
    if not len(limits):
        return rates
    low = numbers(limits, "at_least", "limits", [], default=0.0)
    decided = limits[(low > 0) | (low == numbers(limits, "at_most", "limits", [], default=np.nan))]
    merged = decided[PAIR].merge(rates[PAIR], how="left", indicator=True)
    lone = merged.loc[merged["_merge"] == "left_only", PAIR]
    if not len(lone):
        return rates
    empty = lone.assign(
        demand_per_day=0.0, vmr=1.0, rate_cv2=0.0, repair_share_site=0.0, repair_days_site=0.0
    )
    return pd.concat([rates, empty.reindex(columns=rates.columns)], ignore_index=True)


def order_quantities(
    parts: pd.DataFrame,
    rates: pd.DataFrame,
    catalogue: pd.DataFrame,
    limits: pd.DataFrame,
    options: StockingOptions,
) -> NDArray[np.int64]:
    """Quantity in which HQ buys each part: least order, whole packs, economic quantity.

    Parameters
    ----------
    parts, rates, catalogue, limits : DataFrame
    options : StockingOptions
        order_cost and holding_rate.

    Returns
    -------
    ndarray of int, shape (parts,)
        At least 1. [pieces]

    References
    ----------
    .. [1] Harris (1913), How many parts to make at once: Q = sqrt(2 D K / (h c)).
    """
    known = catalogue.set_index("part_id").reindex(parts["part_id"])
    pack = np.maximum(known["pack_size"].fillna(1.0).to_numpy(dtype=float), 1.0)
    least = np.maximum(known["min_order"].fillna(1.0).to_numpy(dtype=float), 1.0)
    if options.order_cost > 0:
        yearly = (
            rates.groupby("part_id")["demand_per_day"].sum().reindex(parts["part_id"]).fillna(0.0)
            * DAYS_PER_YEAR
        ).to_numpy()
        holding = options.holding_rate * parts["unit_cost"].to_numpy(dtype=float)
        economic = np.sqrt(2 * yearly * options.order_cost / np.where(holding > 0, holding, np.inf))
        # Of a part without a price no quantity is the cheapest, so its least order stays.
        least = np.maximum(least, np.round(np.where(holding > 0, economic, 0.0)))
    quantity = np.ceil(least / pack - 1e-9) * np.ceil(pack)
    if len(limits):
        # A level that a planner fixed or capped at HQ stays as it is, so the quantity must fit under it.
        at_hq = (
            limits[limits["at_hq"]]
            .set_index("part_id")["at_most"]
            .reindex(parts["part_id"])
            .to_numpy(dtype=float)
        )
        quantity = np.where(np.isnan(at_hq), quantity, np.minimum(quantity, at_hq + 1))
    return np.maximum(quantity, 1).astype(np.int64)


def whole_pieces(
    frame: pd.DataFrame, column: str, table: str, problems: list[Problem], default: float
) -> NDArray[np.float64]:
    """Whole pieces of a column; default where it is missing or empty."""
    if column not in frame:
        return np.full(len(frame), default)
    level = numbers(frame, column, table, problems, default=None if column == "base_stock" else default)
    problems += rows_problem(
        table,
        frame,
        column,
        (level != np.floor(level)) & (level >= 0),
        "is no whole number",
        "give whole pieces",
    )
    return level


def _unknown(table: str, frame: pd.DataFrame, parts: pd.DataFrame, sites: pd.DataFrame) -> list[Problem]:
    problems: list[Problem] = []
    for column, known in (("part_id", parts), ("site_id", sites)):
        where, one = column.replace("_id", "s"), column.removesuffix("_id")
        strange = ~frame[column].isin(known[column]).to_numpy()
        rule, remedy = f"is not in {where}", f"add the {one} or drop the row"
        problems += unknown_labels(table, frame, column, strange, pd.Index(known[column]), rule, remedy)
    return problems + rows_problem(
        table,
        frame,
        "part_id",
        frame.duplicated(PAIR).to_numpy(),
        "stands twice with its site",
        "give each part x site once",
    )
