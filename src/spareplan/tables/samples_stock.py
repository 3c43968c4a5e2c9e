"""Month-end stock of a made-up network by rules of thumb: too much of the slow, too little of the fast."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spareplan.maths.units import DAYS_PER_MONTH, DAYS_PER_YEAR, MONTHS_PER_YEAR
from spareplan.tables.samples_engine import stream, to_date, to_day

LOOK_BACK_YEARS = 2
FAST_PER_YEAR = 6.0
# Pieces held: months of use of fast parts, a fixed handful of slow ones, whatever they cost.
FAST_MONTHS = (0.5, 2.0)
MOST_SLOW_PIECES = 3
# Rows of parts a site never used: a share of all, and at most so many per part.
NEVER_USED_SHARE = 0.04
MOST_NEVER_USED = 2


def month_end_stock(
    seed: int, parts: pd.DataFrame, sites: pd.DataFrame, taken: pd.DataFrame, last_day: pd.Timestamp
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Stock and open orders on the last day.

    Parameters
    ----------
    seed : int
    parts, sites : DataFrame
        Input tables of these names; a site stands below its parent.
    taken : DataFrame
        part_id, site_id, replaced_on (day or month), quantity: what left the shelves.
    last_day : Timestamp

    Returns
    -------
    stock, open_orders : DataFrame
        Input tables of these names; `on_order` is the sum of the open orders of its row.
    """
    rng = stream(seed, "stock")
    stock = _held_rows(rng, parts, sites, _yearly(taken, sites, last_day))
    count = len(stock)
    at_hq = stock["parent_id"].isna().to_numpy()
    yearly = stock["yearly"].to_numpy()
    lead_months = np.where(at_hq, stock["lead_time_days"], stock["site_days"]) / DAYS_PER_MONTH
    months = rng.uniform(*FAST_MONTHS, count) + lead_months * rng.uniform(0.4, 1.1, count)
    fast = np.ceil(yearly / MONTHS_PER_YEAR * months)
    slow = rng.integers(1, MOST_SLOW_PIECES + 1, count) * np.where(at_hq, 2, 1)
    most = np.where(yearly >= FAST_PER_YEAR, fast, slow).astype(np.int64)
    most = np.where(stock["successor"], 4, most)
    reorder = most // 2
    on_hand = np.floor(rng.random(count) * (most + 1)).astype(np.int64)
    on_hand = np.where(stock["successor"], 0, on_hand)
    short = (on_hand == 0) & (yearly >= FAST_PER_YEAR)
    backorders = np.where(short & (rng.random(count) < 0.5), rng.integers(1, 4, count), 0)
    repairing = yearly * stock["repairable_share"] * stock["repair_days"].fillna(0) / DAYS_PER_YEAR
    stock = stock.assign(
        on_hand=on_hand,
        reorder_point=reorder,
        max_stock=most,
        backorders=backorders,
        reserved=np.where(rng.random(count) < 0.04, np.minimum(on_hand, 1), 0),
        in_repair=np.where(at_hq, rng.poisson(repairing), 0),
        bin=[
            f"{row}-{shelf:02d}"
            for row, shelf in zip(rng.choice(list("ABCDE"), count), rng.integers(1, 40, count))
        ],
    )
    orders = _orders(rng, stock, last_day)
    incoming = orders.groupby(["part_id", "to_site_id"])["quantity"].sum().rename("on_order").reset_index()
    stock = stock.merge(
        incoming.rename(columns={"to_site_id": "site_id"}), on=["part_id", "site_id"], how="left"
    )
    stock["on_order"] = stock["on_order"].fillna(0).astype(np.int64)
    columns = [
        "part_id",
        "site_id",
        "on_hand",
        "reserved",
        "in_repair",
        "on_order",
        "backorders",
        "bin",
        "reorder_point",
        "max_stock",
    ]
    return stock[columns], orders


def _yearly(taken: pd.DataFrame, sites: pd.DataFrame, last_day: pd.Timestamp) -> pd.DataFrame:
    """Pieces per year that pass through each site: its own and those of all sites below."""
    recent = taken[taken["replaced_on"] > last_day - pd.DateOffset(years=LOOK_BACK_YEARS)]
    flow = recent.groupby(["part_id", "site_id"])["quantity"].sum().reset_index()
    parent = dict(zip(sites["site_id"], sites["parent_id"]))
    passed, step = [flow], flow
    while len(step):
        step = step.assign(site_id=step["site_id"].map(parent)).dropna(subset=["site_id"])
        passed.append(step)
    total = pd.concat(passed).groupby(["part_id", "site_id"])["quantity"].sum() / LOOK_BACK_YEARS
    return total.rename("yearly").reset_index()


def _held_rows(
    rng: np.random.Generator, parts: pd.DataFrame, sites: pd.DataFrame, yearly: pd.DataFrame
) -> pd.DataFrame:
    """Rows that are held: everything at headquarters, what is used elsewhere, and some that never was."""
    supply = parts[["part_id", "lead_time_days", "min_order", "pack_size", "repairable_share", "repair_days"]]
    supply = supply.assign(successor=parts["part_id"].isin(parts["superseded_by"].dropna()))
    places = sites[["site_id", "parent_id", "lead_time_days"]].rename(columns={"lead_time_days": "site_days"})
    centre = sites.loc[sites["parent_id"].isna(), "site_id"].iloc[0]
    never = min(int(NEVER_USED_SHARE * len(parts) * len(sites)), MOST_NEVER_USED * len(parts))
    cells = pd.concat(
        [
            parts[["part_id"]].assign(site_id=centre),
            yearly[["part_id", "site_id"]],
            pd.DataFrame(
                {
                    "part_id": parts["part_id"].to_numpy()[rng.integers(0, len(parts), never)],
                    "site_id": sites["site_id"].to_numpy()[rng.integers(0, len(sites), never)],
                }
            ),
        ]
    ).drop_duplicates()
    rows = cells.merge(supply, on="part_id").merge(places, on="site_id")
    rows = rows.merge(yearly, on=["part_id", "site_id"], how="left")
    rows["yearly"] = rows["yearly"].fillna(0.0)
    rows = rows.sort_values(["part_id", "site_id"], ignore_index=True)
    chance = np.where(rows["yearly"].between(0, 1, inclusive="neither"), 0.6, 0.97)
    held = rows["parent_id"].isna() | ((rng.random(len(rows)) < chance) & ~rows["successor"])
    return rows[held].reset_index(drop=True)


def _orders(rng: np.random.Generator, stock: pd.DataFrame, last_day: pd.Timestamp) -> pd.DataFrame:
    """Open orders of most rows at or below their reorder point, up to the maximum, in whole packs."""
    low = (stock["on_hand"] <= stock["reorder_point"]) & (rng.random(len(stock)) < 0.7) | stock["successor"]
    rows = stock[low]
    from_supplier = rows["parent_id"].isna().to_numpy()
    wanted = (rows["max_stock"] - rows["on_hand"] + rows["backorders"]).clip(lower=1).to_numpy()
    packed = np.ceil(np.maximum(wanted, rows["min_order"]) / rows["pack_size"]) * rows["pack_size"]
    days = np.where(from_supplier, rows["lead_time_days"], rows["site_days"])
    due = int(to_day([last_day])[0]) + 1 + (rng.random(len(rows)) * np.maximum(days, 1)).astype(np.int64)
    number = np.arange(1, len(rows) + 1)
    return pd.DataFrame(
        {
            "order_id": [
                f"{'PO' if bought else 'TO'}{count:05d}" for bought, count in zip(from_supplier, number)
            ],
            "part_id": rows["part_id"].to_numpy(),
            "from_site_id": rows["parent_id"].to_numpy(),
            "to_site_id": rows["site_id"].to_numpy(),
            "quantity": np.where(from_supplier, packed, wanted).astype(np.int64),
            "due_on": to_date(due),
        }
    )
