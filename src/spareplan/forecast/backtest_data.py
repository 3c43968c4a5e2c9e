"""What a dataset brings to a back-test: monthly demand, groups to cut by, lead times."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem, problem_in_argument
from spareplan.maths.units import DAYS_PER_MONTH, month_start
from spareplan.tables.dataset import Dataset
from spareplan.tables.part_facts import part_tiers
from spareplan.tables.supersession import newest_parts
from spareplan.tables.taken import CELL, taken_from_shelves

PAIR = ["part_id", "site_id"]
LEAD_TIME = "lead_time"


def history_of(data: Dataset) -> pd.DataFrame:
    """Monthly demand per part and site of a dataset, old part numbers counted as their successors'.

    Parameters
    ----------
    data : Dataset
        demand, replacements, units, fitment, parts.

    Returns
    -------
    DataFrame
        part_id, site_id, period, quantity; sorted. [pieces]

    Raises
    ------
    DataError
        It has neither demand nor replacements.
    """
    if not len(data.demand) and not len(data.replacements):
        raise problem_in_argument(
            "backtest_demand",
            "history",
            data.source,
            "has neither demand nor replacements",
            "give one of these tables",
        )
    taken = taken_from_shelves(data)
    taken = pd.concat([taken, _begun(data)], ignore_index=True)
    taken["part_id"] = taken["part_id"].replace(newest_parts(data.parts))
    sums = taken.groupby(CELL, sort=True)["quantity"].sum(min_count=1)
    return sums.reset_index().rename(columns={"month": "period"})


def _begun(data: Dataset) -> pd.DataFrame:
    """No demand in the month in which machines that carry a part, and the records of them, were both there.

    A part without an early failure was there nevertheless, and so is one that never failed: leaving them out
    would let the test know which parts fail later.
    """
    if not len(data.replacements) or not len(data.units) or not len(data.fitment):
        return pd.DataFrame(columns=[*CELL, "quantity"])
    carried = data.units.groupby(["product_id", "site_id"], as_index=False)["commissioned_on"].min()
    pairs = carried.merge(data.fitment[["product_id", "part_id"]], on="product_id")
    first = month_start(pairs["commissioned_on"].clip(lower=data.replacements["replaced_on"].min()))
    begun = pairs.assign(month=first, quantity=0.0)[[*CELL, "quantity"]]
    return begun[begun["month"] <= data.as_of()]


def cuts_of(data: Dataset) -> list[pd.DataFrame]:
    """What a dataset knows to cut by: region, tier, family, criticality.

    Returns
    -------
    list of DataFrame
        part_id or site_id, and the name of the group.
    """
    cuts = [data.sites[["site_id", "region_id"]].rename(columns={"region_id": "region"})]
    cuts += [data.parts[["part_id", name]] for name in ("family", "criticality")]
    tiers = part_tiers(data).rename("tier").map("{:.0f}".format)
    cuts.insert(2, tiers.reset_index())
    return [frame for frame in cuts if frame.iloc[:, 1].notna().any()]


def periods_of(data: Dataset, periods: int | str | pd.Series) -> int | str | pd.Series:
    """Lengths of the tested sums by part as a Series by part and site.

    Parameters
    ----------
    data : Dataset
    periods : int, Series or "lead_time"
        As for `backtest_demand`. [periods]

    Returns
    -------
    int, or Series indexed by part_id and site_id

    Raises
    ------
    DataError
        A part has a history but no periods; a word that is not known.
    """
    if isinstance(periods, str):
        if periods != LEAD_TIME:
            raise problem_in_argument(
                "backtest_demand",
                "periods",
                periods,
                "is not known",
                'give a number, a Series or "lead_time"',
            )
        months = np.ceil(data.parts.set_index("part_id")["lead_time_days"] / DAYS_PER_MONTH - 1e-9)
        periods = months.clip(lower=1).astype(int)
    if isinstance(periods, pd.Series) and periods.index.nlevels == 1:
        pairs = history_of(data)[PAIR].drop_duplicates()
        known = pairs["part_id"].map(periods)
        missing = sorted(pairs.loc[known.isna(), "part_id"].unique())
        if missing:
            raise DataError(
                [
                    Problem(
                        "periods", 0, "part_id", part, "has a history but no periods", "add it to periods"
                    )
                    for part in missing
                ]
            )
        return pd.Series(known.to_numpy(), index=pd.MultiIndex.from_frame(pairs))
    return periods
