"""Machines of one product, region and age as cohorts, so that each can leave by its own law."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from spareplan.maths.units import DAYS_PER_YEAR
from spareplan.tables.network import build_network

# Machines sold within one such stretch share a law of leaving; their pieces keep their own ages. [days]
COHORT_DAYS = DAYS_PER_YEAR
# Kin that teach a family its law; more of them would teach the same.
MOST_KIN = 40


class Cohorts(NamedTuple):
    """Machines of one product, region and age under a site of their own.

    Parameters
    ----------
    table : DataFrame
        site_id, product_id, age (mean, today; negative: sold in so many days) [days], machines, known
        (their day of retirement is given).
    data : Dataset
        The same machines and records, every cohort a site of its own.
    """

    table: pd.DataFrame
    data: Any


def split_cohorts(data: Any, as_of: pd.Timestamp, part_ids: list[str], region: pd.Series) -> Cohorts:
    """Give the machines of each product, region and age a site of their own.

    Parameters
    ----------
    data : Dataset
    as_of : Timestamp
        Last day that was known.
    part_ids : list of str
        Parts wanted; with them only kin are kept that teach their lives.
    region : Series
        site_id to its region, empty text where there is none.

    Returns
    -------
    Cohorts
    """
    units = data.units
    begin = pd.Timestamp(as_of) + pd.Timedelta(days=1)
    age = (begin - units["commissioned_on"]).dt.days.to_numpy(float)
    gone = (units["retired_on"] <= as_of).to_numpy(bool)
    known = units["retired_on"].notna().to_numpy(bool) & ~gone
    number = np.floor(age / COHORT_DAYS).astype(np.int64)
    kind = np.where(gone, "gone", np.where(known, "ends", number.astype(str)))
    place = units["site_id"].map(region).fillna("").astype(str).to_numpy()
    plan = data.sales_plan
    plan = plan[(plan["month"] > as_of) & (plan["units_sold"].fillna(0) > 0)]
    sold_place = plan["site_id"].map(region).fillna("").astype(str).to_numpy()
    middle = (plan["month"] + pd.Timedelta(days=15) - begin).dt.days.to_numpy(float)
    every = pd.DataFrame(
        {
            "product_id": np.concatenate([units["product_id"], plan["product_id"]]),
            "region": np.concatenate([place, sold_place]),
            "kind": np.concatenate([kind, plan["month"].dt.strftime("sold %Y-%m")]),
            "age": np.concatenate([age, -middle]),
            "machines": np.concatenate([np.ones(len(units)), plan["units_sold"]]),
            "known": np.concatenate([known | gone, np.zeros(len(plan), dtype=bool)]),
        }
    )
    keys = ["product_id", "region", "kind"]
    every["cohort"] = every.groupby(keys, sort=True).ngroup()
    every["sum"] = every["age"] * every["machines"]
    groups = every.groupby("cohort", sort=True)
    table = groups[[*keys, "known"]].first()
    table["machines"] = groups["machines"].sum()
    table["age"] = groups["sum"].sum() / table["machines"]
    table["site_id"] = [f"cohort {number}" for number in table.index]
    named = np.array(table["site_id"], dtype=object)[every["cohort"].to_numpy()]
    new = {
        "units": units.assign(site_id=named[: len(units)]),
        "sales_plan": plan.assign(site_id=named[len(units) :], units_retired=0.0),
        "sites": _places(data, table),
        **_kept_parts(data, part_ids),
    }
    network = build_network(new["sites"])
    return Cohorts(
        table[table["kind"] != "gone"].reset_index(drop=True)[
            ["site_id", "product_id", "region", "age", "machines", "known"]
        ],
        dataclasses.replace(data, tables={**data.tables, **new}, network=network),
    )


def _places(data: Any, table: pd.DataFrame) -> pd.DataFrame:
    """A site for every cohort, in its region, below headquarters."""
    sites = data.sites[data.sites["site_id"] == data.network.hq]
    own = pd.DataFrame({"site_id": table["site_id"], "name": table["site_id"]})
    own["region_id"] = table["region"].where(table["region"] != "")
    own = own.assign(parent_id=data.network.hq, lead_time_days=0.0).reindex(columns=sites.columns)
    both = pd.concat([sites.astype(object), own.astype(object)], ignore_index=True)
    return both.astype(dict(data.sites.dtypes))


def _kept_parts(data: Any, part_ids: list[str]) -> dict[str, pd.DataFrame]:
    """Keep the parts wanted, what they replace or are like, and kin enough to teach their lives."""
    parts = data.parts.sort_values("part_id", kind="stable")
    family = parts["family"]
    for name in ("supplier", "source"):
        family = family.where(family.notna(), parts[name])
    family = family.fillna("").astype(str)
    wanted = parts["part_id"].isin(part_ids)
    fitted = parts["part_id"].isin(data.fitment["part_id"])
    kin = family.isin(family[wanted]) & fitted
    size = kin.groupby(family).transform("sum")
    # Evenly over the sorted names, so that neither order nor chance decides who teaches.
    place = kin.groupby(family).cumsum() * MOST_KIN // size.clip(lower=1)
    chosen = kin & ((size <= MOST_KIN) | (place != place.groupby(family).shift(fill_value=-1)))
    keep = set(parts["part_id"][wanted | chosen])
    # Predecessors bring their machines and failures, analogues their failures; chains are short.
    while True:
        linked = parts["superseded_by"].isin(keep) & ~parts["part_id"].isin(keep)
        like = set(parts.loc[parts["part_id"].isin(keep), "like_part"].dropna()) - keep
        if not linked.any() and not like:
            break
        keep |= {*parts.loc[linked, "part_id"], *like}
    return {
        name: data.tables[name][data.tables[name]["part_id"].isin(keep)]
        for name in ("parts", "fitment", "replacements")
    }
