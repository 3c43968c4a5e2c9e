"""Promised pieces: reservations not yet covered, and from which week on they must be ordered."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.maths.units import DAYS_PER_WEEK
from spareplan.stocking._shelves import SUPPLIER, Routes
from spareplan.tables.calendars import day_numbers


def uncovered(
    reservations: pd.DataFrame,
    stock: pd.DataFrame,
    part_ids: pd.Index,
    site_ids: pd.Index,
    monday: pd.Timestamp,
) -> pd.DataFrame:
    """Reservations that no piece on the shelf is set aside for; what is set aside covers the earliest.

    Parameters
    ----------
    reservations : DataFrame
        part_id, site_id, due_on, quantity [pieces].
    stock : DataFrame
        part_id, site_id, reserved [pieces].
    part_ids, site_ids : Index
        Known parts and sites, in order.
    monday : Timestamp
        First Monday; overdue reservations count as due in its week.

    Returns
    -------
    DataFrame
        part, site (positions), day, week (from the first Monday), pieces.
    """
    ordered = reservations.sort_values(["part_id", "site_id", "due_on", "quantity"], kind="stable")
    keys = pd.MultiIndex.from_frame(ordered[["part_id", "site_id"]])
    aside = stock.set_index(["part_id", "site_id"])["reserved"].fillna(0.0)
    there = aside.reindex(keys).fillna(0.0).to_numpy(dtype=float)
    pieces = ordered["quantity"].to_numpy(dtype=float)
    until = ordered.groupby(["part_id", "site_id"])["quantity"].cumsum().to_numpy(dtype=float)
    open_pieces = np.clip(until - there, 0.0, pieces)
    day = np.maximum(day_numbers(ordered["due_on"], monday), 0)
    out = pd.DataFrame(
        {
            "part": part_ids.get_indexer(pd.Index(ordered["part_id"])),
            "site": site_ids.get_indexer(pd.Index(ordered["site_id"])),
            "day": day,
            "week": day // DAYS_PER_WEEK,
            "pieces": open_pieces,
        }
    )
    return out[out["pieces"] > 0].reset_index(drop=True)


def promised_ahead(
    promised: pd.DataFrame, horizon: NDArray[np.int64], routes: Routes, shape: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Promised pieces each site must have ordered by each Monday.

    A site orders for a promise at the last chance that still arrives in time. The sites above it do so a
    transport time and a week before, and stop counting it once the site below has asked for it.

    Parameters
    ----------
    promised : DataFrame
        part, site, day, week, pieces.
    horizon : ndarray of int, shape (weeks, parts, sites)
        Arrival day of the next chance after this one. [days]
    routes : Routes
    shape : tuple of int
        Parts and sites.

    Returns
    -------
    ahead, held : ndarray, shape (weeks, parts, sites)
        All pieces that must be ordered, and those due at the site itself. [pieces]
    """
    weeks = len(horizon)
    ahead, held = np.zeros((weeks, *shape)), np.zeros((weeks, *shape))
    part, site = promised["part"].to_numpy(), promised["site"].to_numpy()
    due, pieces = promised["day"].to_numpy(), promised["pieces"].to_numpy(dtype=float)
    week = np.arange(weeks)[:, None]
    not_taken = week <= promised["week"].to_numpy()
    asked_below = np.zeros((weeks, len(part)), dtype=bool)
    step = 0
    while len(part):
        seen = (due <= horizon[:, part, site]) & not_taken
        counted = np.where(seen & ~asked_below, pieces, 0.0)
        every = np.broadcast_to(week, counted.shape)
        np.add.at(
            ahead,
            (every, np.broadcast_to(part, counted.shape), np.broadcast_to(site, counted.shape)),
            counted,
        )
        if step == 0:
            held += ahead
        step += 1
        above = routes.parent[site]
        on = above != SUPPLIER
        lead = (routes.arrives[0] - routes.order_day[0])[site]
        asked_below = (asked_below | seen)[:, on]
        due = (due - lead - DAYS_PER_WEEK)[on]
        part, pieces, not_taken, site = part[on], pieces[on], not_taken[:, on], above[on]
    return ahead, held
