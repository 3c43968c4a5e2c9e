"""Caps: the money tied up at the sites of a region may not exceed what headquarters grants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem
from spareplan.stocking._faults import missing_columns, rows_problem, unknown_labels
from spareplan.stocking._forest import Forest
from spareplan.stocking._reading import numbers
from spareplan.stocking.pipelines import Pipelines
from spareplan.stocking.promises import Promises


def cap_problems(caps: pd.DataFrame | None, sites: pd.DataFrame) -> list[Problem]:
    """Faults of caps, all at once.

    Parameters
    ----------
    caps, sites : DataFrame
        As in `with_caps`.

    Returns
    -------
    list of Problem
    """
    if caps is None or not len(caps):
        return []
    problems = missing_columns("caps", caps, ["region_id", "cap"])
    problems += missing_columns("sites", sites, ["region_id"])
    if "cap" in caps:
        numbers(caps, "cap", "caps", problems)
    if "region_id" in caps and "region_id" in sites:
        known = pd.Index(sites["region_id"].dropna().unique())
        strange = ~caps["region_id"].isin(known).to_numpy()
        rule, remedy = "is no region of any site", "name a region that stands in sites"
        problems += unknown_labels("caps", caps, "region_id", strange, known, rule, remedy)
    if "region_id" in caps:
        twice = caps.duplicated("region_id").to_numpy()
        problems += rows_problem("caps", caps, "region_id", twice, "stands twice", "give it once")
    return problems


def with_caps(
    promises: Promises,
    caps: pd.DataFrame | None,
    sites: pd.DataFrame,
    forest: Forest,
    pipelines: Pipelines,
) -> Promises:
    """Add a promise per cap: what its sites hold may cost no more.

    Parameters
    ----------
    promises : Promises
    caps : DataFrame or None
        region_id, cap. [money]
    sites : DataFrame
        site_id, region_id.
    forest, pipelines : Forest, Pipelines

    Returns
    -------
    Promises

    Raises
    ------
    DataError
        Unknown or doubled regions, caps that are no amount of money, all at once.
    """
    if caps is None or not len(caps):
        return promises
    problems = cap_problems(caps, sites)
    if problems:
        raise DataError(problems)
    cap = numbers(caps, "cap", "caps", problems)
    # The order of the table must not sway the search.
    order = np.argsort(caps["region_id"].astype(str).to_numpy(), kind="stable")
    caps, cap = caps.iloc[order], cap[order]
    region = pd.Index(caps["region_id"]).get_indexer(
        pd.Index(sites.set_index("site_id")["region_id"].reindex(forest.site_ids))
    )
    own = region[forest.site[pipelines.forest_rows]]
    table = pd.DataFrame(
        {
            "group": caps["region_id"].astype(str).to_numpy(),
            "site_id": "",
            "part_group": "",
            "measure": "money",
            "target": cap,
            "demand_per_day": 0.0,
        }
    )
    return replace(
        promises,
        table=pd.concat([promises.table, table], ignore_index=True),
        allowed=np.r_[promises.allowed, cap],
        cap_promise=np.where(own >= 0, own + len(promises), -1),
        cap_factor=np.where(own >= 0, pipelines.row_cost, 0.0),
    )


def without_caps(promises: Promises) -> Promises:
    """The same promises without caps, which stand last."""
    kept = int((~promises.is_cap).sum())
    return replace(
        promises,
        table=promises.table.iloc[:kept],
        allowed=promises.allowed[:kept],
        cap_promise=None,
        cap_factor=np.empty(0),
    )
