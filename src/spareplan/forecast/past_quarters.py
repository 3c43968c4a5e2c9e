"""What happened in past quarters, by part and site, beside what was expected: the ground of the blend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from spareplan.tables.supersession import newest_parts

# Reports that must have come in before a quarter is tested.
REPORTED_SHARE = 0.95


def days_to_report(data: Any, as_of: pd.Timestamp) -> int:
    """Count the days until most replacements are reported; 0 where reports carry no date of their own."""
    rows = data.replacements
    rows = rows[rows["reported_on"].notna() & (rows["reported_on"] <= as_of)]
    if not len(rows):
        return 0
    delay = (rows["reported_on"] - rows["replaced_on"]).dt.days.quantile(REPORTED_SHARE)
    return int(np.clip(np.ceil(delay), 0, 90))


def happened(data: Any, origin: pd.Timestamp, until: pd.Timestamp, as_of: pd.Timestamp) -> pd.Series:
    """Pieces replaced after the origin on machines that were in service then, by part and site, as known."""
    old = data.units.loc[data.units["commissioned_on"] <= origin, ["unit_id", "site_id"]]
    rows = data.replacements
    rows = rows[(rows["replaced_on"] > origin) & (rows["replaced_on"] < until + pd.Timedelta(days=1))]
    rows = rows[rows["unit_id"].isin(old["unit_id"]) & ~(rows["reported_on"] > as_of)]
    part = rows["part_id"].replace(newest_parts(data.parts)).rename("part_id")
    site = rows["unit_id"].map(old.set_index("unit_id")["site_id"]).rename("site_id")
    return rows["quantity"].astype(float).groupby([part, site]).sum()


def batch_size(data: Any, as_of: pd.Timestamp) -> float:
    """Pieces that go at one replacement, weighed by pieces."""
    size = data.replacements.loc[data.replacements["replaced_on"] <= as_of, "quantity"].astype(float)
    return float((size**2).sum() / size.sum()) if size.sum() > 0 else 1.0


def site_test(forecast: Any, happened: pd.Series, origin: pd.Timestamp) -> pd.DataFrame:
    """What ages and mean rate let expect of each part at each site, and what happened."""
    out = forecast.windows[["part_id", "site_id", "by_ages", "by_rate"]].assign(origin=origin)
    pair = pd.MultiIndex.from_frame(out[["part_id", "site_id"]])
    return out.assign(actual=happened.reindex(pair).fillna(0.0).to_numpy(float))


def mixed(by_site: list[pd.DataFrame], shares: pd.DataFrame) -> pd.DataFrame:
    """Means by the weights of ages and mean rate; halves where the own record has all weight."""
    rows = pd.concat(by_site, ignore_index=True)
    weight = shares.reindex(rows["part_id"]).to_numpy(float) + 1e-9
    mean = (weight * rows[["by_ages", "by_rate"]].to_numpy(float)).sum(axis=1) / weight.sum(axis=1)
    return rows.assign(mean=mean)
