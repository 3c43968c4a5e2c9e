"""The year after the last day of the delivery-pump sample: what a forecast is measured against."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spareplan.tables import samples_facts as facts
from spareplan.tables.samples_engine import (
    Clock,
    compound_sales,
    expand_positions,
    simulate_renewals,
    stream,
    to_date,
    to_day,
)
from spareplan.tables.samples_pump_fleet import PLAN_MONTHS, RUN_OUT, use_groups, usual_hours

YEAR_END = pd.Timestamp("2027-01-01")
_LIFE = ["part_id", "shape", "scale_hours", "planned_age_hours", "as_set", "quantity"]


def next_year(
    seed: int,
    clock: Clock,
    pieces: pd.DataFrame,
    renewals: pd.DataFrame,
    sales_plan: pd.DataFrame,
    rates: pd.DataFrame,
) -> pd.DataFrame:
    """Run the fleet on for a year, with the machines of the sales plan, and the counter too.

    Parameters
    ----------
    seed : int
    clock : Clock
        Of the past.
    pieces : DataFrame
        A row per machine and part: unit_id, part_id, product_id, site_id, latent_end, and the columns that
        `renew_fleet` needs.
    renewals : DataFrame
        Answer of `renew_fleet` for them, up to the run-out.
    sales_plan : DataFrame
        Input table; its machines are really sold, on a random day of the month.
    rates : DataFrame
        part_id, site_id, orders_per_month, mean_order_size.

    Returns
    -------
    DataFrame
        part_id, site_id, month, quantity: all pieces taken, planned replacements too.
    """
    rng = stream(seed, "next_year")
    ahead = Clock.from_monthly(PLAN_MONTHS, usual_hours(PLAN_MONTHS))
    turn, end = (float(to_day([date])[0]) for date in (RUN_OUT, YEAR_END))
    slots = _in_service(clock, pieces, renewals, turn)
    old = simulate_renewals(
        rng,
        ahead,
        slots["group"].to_numpy(),
        np.full(len(slots), turn),
        np.minimum(slots["latent_end"].to_numpy(dtype=float), end),
        slots["shape"].to_numpy(),
        slots["scale_hours"].to_numpy(),
        slots["planned_age_hours"].to_numpy(),
        age=slots["age"].to_numpy(),
    )
    january = renewals[renewals["replaced_on"].between(PLAN_MONTHS[0], RUN_OUT, inclusive="left")]
    sold = _sold_slots(rng, pieces, sales_plan)
    new = simulate_renewals(
        rng,
        ahead,
        sold["group"].to_numpy(),
        sold["start_day"].to_numpy(),
        np.full(len(sold), end),
        sold["shape"].to_numpy(),
        sold["scale_hours"].to_numpy(),
        sold["planned_age_hours"].to_numpy(),
    )
    taken = [
        pieces.iloc[january["piece"].to_numpy()].assign(day=to_day(january["replaced_on"])),
        slots.iloc[old.position].assign(day=old.day),
        sold.iloc[new.position].assign(day=new.day),
    ]
    repairs = pd.concat(frame[["part_id", "site_id", "day", "quantity", "as_set"]] for frame in taken)
    size = rates["mean_order_size"].to_numpy()
    row, month, quantity = compound_sales(rng, rates["orders_per_month"].to_numpy(), size, len(PLAN_MONTHS))
    counter = rates[["part_id", "site_id"]].iloc[row].assign(month=PLAN_MONTHS[month], quantity=quantity)
    repairs["month"] = to_date(repairs["day"]).to_period("M").to_timestamp()
    repairs["quantity"] = repairs["quantity"].where(repairs["as_set"], 1)
    keys = ["part_id", "site_id", "month"]
    both = pd.concat([repairs[[*keys, "quantity"]], counter])
    return both.groupby(keys)["quantity"].sum().reset_index()


def _in_service(clock: Clock, pieces: pd.DataFrame, renewals: pd.DataFrame, turn: float) -> pd.DataFrame:
    """Positions of machines in service at the turn, with the age of the piece that is in."""
    row, position = expand_positions(pieces)
    last = renewals.groupby(["piece", "position"])["replaced_on"].max()
    born = last.reindex(pd.MultiIndex.from_arrays([row, position])).reset_index(drop=True)
    slots = pieces[[*_LIFE, "site_id", "group", "start_day", "latent_end"]].iloc[row].reset_index(drop=True)
    known = born.notna().to_numpy()
    start = slots["start_day"].to_numpy().copy()
    start[known] = to_day(born[known])
    group = slots["group"].to_numpy()
    slots["age"] = clock.hours_at(group, np.full(len(slots), turn)) - clock.hours_at(group, start)
    return slots[slots["latent_end"] > turn].reset_index(drop=True)


def _sold_slots(rng: np.random.Generator, pieces: pd.DataFrame, sales_plan: pd.DataFrame) -> pd.DataFrame:
    """Positions of the machines that the sales plan promises; customers are as they were."""
    machines = sales_plan.loc[sales_plan.index.repeat(sales_plan["units_sold"])].reset_index(drop=True)
    day = to_day(machines["month"]) + (rng.random(len(machines)) * machines["month"].dt.days_in_month).astype(
        int
    )
    served = rng.random(len(machines)) < dict(facts.SEGMENTS)[facts.PLANNED_SEGMENT]
    machines = machines.assign(start_day=day.astype(float), served=served, machine=np.arange(len(machines)))
    region = {site: region for region, site, _, _, _, _, _ in facts.DEPOTS}
    region |= {row[0]: region for region, *_, stations in facts.DEPOTS for row in stations}
    machines["region_id"] = machines["site_id"].map(region)
    # The planned age of a part is that of any machine that has one: the least over the fleet.
    kinds = pieces.sort_values("planned_age_hours").drop_duplicates(["product_id", "part_id"])
    slots = machines.merge(kinds[["product_id", *_LIFE]], on="product_id").sort_values(["machine", "part_id"])
    slots["planned_age_hours"] = slots["planned_age_hours"].where(slots["served"], np.inf)
    row, _ = expand_positions(slots)
    slots = slots.iloc[row].reset_index(drop=True)
    pairs = pd.MultiIndex.from_frame(slots[["product_id", "region_id"]])
    return slots.assign(group=use_groups().get_indexer(pairs))
