"""Last buys as a result: the risk of any quantity, the words of each row, what a planner must look at."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import problem_in_argument
from spareplan.maths.distributions import loss, quantile, sf
from spareplan.results import Result
from spareplan.tables.schema import TEXT

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class LastBuys(Result):
    """Last buys of parts that end, and the risk of any other quantity.

    Parameters
    ----------
    need : DataFrame
        Index part_id; mean, variance: the most pieces ever gone or in repair at a time.
    path : DataFrame
        part_id, days, mean, variance, machines: demand from now until each day, machines in service then.
    as_of : Timestamp
        Last day that was known.
    """

    need: pd.DataFrame = field(default_factory=pd.DataFrame)
    path: pd.DataFrame = field(default_factory=pd.DataFrame)
    as_of: pd.Timestamp = field(default_factory=lambda: pd.Timestamp("1970-01-01"))

    def risk_of(self, part_id: str, quantity: float) -> float:
        """Chance of ever running short of a part after buying a quantity.

        Parameters
        ----------
        part_id : str
        quantity : float
            Bought from now on, beside what is on hand and on order. [pieces]

        Returns
        -------
        float

        Raises
        ------
        DataError
            The part has no last buy, or the quantity is negative.
        """
        if not quantity >= 0:
            raise problem_in_argument(
                "risk_of", "quantity", quantity, "is no number of pieces", "give 0 or more"
            )
        row, mean, variance = self._of(part_id)
        there = row["on_hand"] + row["on_order"] + quantity
        return float(sf(np.floor(there), mean, variance))

    def curve(self, part_id: str, points: int = 50) -> pd.DataFrame:
        """Quantities against the risk they leave.

        Parameters
        ----------
        part_id : str
        points : int
            Most rows.

        Returns
        -------
        DataFrame
            quantity [pieces], value [money], risk, expected_short [pieces]: from nothing to a risk of 0.1 %.
        """
        row, mean, variance = self._of(part_id)
        there = row["on_hand"] + row["on_order"]
        most = max(float(quantile(0.999, mean, variance)) - there, 0.0)
        bought = np.unique(np.round(np.linspace(0.0, most, points)))
        stock = np.floor(there + bought)
        risk = sf(stock, mean, variance)
        short = loss(np.maximum(stock, 0.0), mean, variance) + np.maximum(-stock, 0.0)
        price = row["value"] / row["quantity"] if row["quantity"] > 0 else np.nan
        return pd.DataFrame(
            {"quantity": bought, "value": bought * price, "risk": risk, "expected_short": short}
        )

    def _of(self, part_id: str) -> tuple[pd.Series, float, float]:
        rows = self.table[self.table["part_id"] == part_id]
        if rows.empty:
            raise problem_in_argument(
                "last buys", "part_id", part_id, "has no last buy", "use a part of .table"
            )
        mean, variance = (float(self.need[name].to_dict()[part_id]) for name in ("mean", "variance"))
        return rows.iloc[0], mean, variance


def warnings_of(
    table: pd.DataFrame, shelf_life: FloatArray, mean: FloatArray, days: FloatArray, ahead: FloatArray
) -> list[str]:
    """Warn of pieces that would be asked for after their shelf life.

    Parameters
    ----------
    table : DataFrame
        quantity, a row per part.
    shelf_life : ndarray, shape (parts,)
        NaN: keeps for ever. [days]
    mean : ndarray, shape (parts, times)
        Demand until each of `days`. [pieces]
    days : ndarray, shape (times,)
        [days]
    ahead : ndarray, shape (parts,)
        From now to the last buy. [days]

    Returns
    -------
    list of str
        Empty text where there is nothing to warn of.
    """
    out = []
    for row, (keeps, buy, bought) in enumerate(zip(shelf_life, ahead, table["quantity"])):
        later = 0.0 if np.isnan(keeps) else mean[row, -1] - np.interp(buy + keeps, days, mean[row])
        text = f"shelf life of {keeps:,.0f} days ends before the cover: {later:.0f} pieces are needed later"
        out.append(text if bought > 0 and later >= 0.5 else "")
    return out


def reasons_of(table: pd.DataFrame, successor: pd.Series, today: pd.Timestamp, risk: float) -> list[str]:
    """Say in one sentence why so many pieces are to be bought.

    Parameters
    ----------
    table : DataFrame
        As in `LastBuys.table`.
    successor : Series
        Part that takes the place of each, empty where none does.
    today : Timestamp
    risk : float

    Returns
    -------
    list of str
    """
    out = []
    numbers = ["machines_now", "mean", "demand_until_last_buy", "repaired", "quantile", "on_hand", "on_order"]
    figures = table[[*numbers, "quantity"]].to_numpy(float)
    for after, last, covers, (now, mean, until, back, enough, hand, order, quantity) in zip(
        successor, pd.DatetimeIndex(table["last_buy_on"]), pd.DatetimeIndex(table["covers_until"]), figures
    ):
        if isinstance(after, str):
            out.append(f"{after} takes its place: its machines and their demand are covered by that part")
            continue
        if pd.isna(covers):
            out.append("no machine carries it and none asked for it: nothing is left to cover")
            continue
        text = f"{now:,.0f} machines" if now > 0 else "machines that are not known"
        text += f" ask for {mean:,.1f} pieces until {covers:%Y-%m}"
        text += f", {until:,.1f} of them before the last buy" if last > today else ""
        text += f", {back:,.1f} come back repaired" if back > 0 else ""
        text += f"; {enough:,.0f} are enough with {1 - risk:.0%}, {hand:,.0f} on hand"
        text += f" and {order:,.0f} on the way" if order else ""
        if quantity > 0 and last <= today:
            text += f"; the supplier's last day has passed: {quantity:,g} are missing"
        out.append(text)
    return out


def lines_of(table: pd.DataFrame, today: pd.Timestamp, risk: float) -> tuple[str, ...]:
    """Sum up all last buys in a sentence or two.

    Parameters
    ----------
    table : DataFrame
    today : Timestamp
    risk : float

    Returns
    -------
    tuple of str
    """
    if table.empty:
        return ("No part has a last_buy_on.",)
    buy = table[(table["quantity"] > 0) & (table["last_buy_on"] > today)]
    late = table[(table["quantity"] > 0) & (table["last_buy_on"] <= today)]
    lines = [
        f"{len(table):,} parts end; {len(buy):,} last buys worth {buy['value'].sum():,.0f} keep each from "
        f"ever running short with {1 - risk:.0%}."
    ]
    if len(late):
        named = ", ".join(late["part_id"][:5])
        lines.append(f"{len(late):,} parts can no longer be bought and will run short: {named}.")
    return tuple(lines)


def last_buy_exceptions(result: LastBuys, months: int = 12) -> pd.DataFrame:
    """List last buys that fall within the horizon, and ended parts that will run short.

    Parameters
    ----------
    result : LastBuys
    months : int
        Horizon of the plan. [months]

    Returns
    -------
    DataFrame
        kind, part_id, site_id, region_id (both empty), money, machine_days (0), message, action: to be
        listed among a plan's exceptions.
    """
    table = result.table
    end = result.as_of + pd.DateOffset(months=months)
    soon = (table["last_buy_on"] > result.as_of) & (table["last_buy_on"] <= end)
    passed = (table["last_buy_on"] <= result.as_of) & (table["quantity"] > 0)
    rows = table[soon | passed]
    message, action = [], []
    columns = (rows[name] for name in ("part_id", "quantity", "risk", "reason", "warning"))
    for last, part, quantity, risk, reason, warning in zip(pd.DatetimeIndex(rows["last_buy_on"]), *columns):
        due = last > result.as_of
        when = f"the supplier {'takes' if due else 'took'} the last order on {last:%Y-%m-%d}"
        message.append(f"{part}: {when}; {reason}" + (f"; {warning}" if warning else ""))
        if quantity == 0:
            action.append("nothing to buy: what is there outlasts the machines")
        elif due:
            action.append(f"order {quantity:,g} pieces by then: a risk of {risk:.1%} of running short stays")
        else:
            action.append(f"find {quantity:,g} pieces: another source, a successor, or repair of old ones")
    return pd.DataFrame(
        {
            "kind": "last buy",
            "part_id": rows["part_id"].to_numpy(),
            "site_id": None,
            "region_id": None,
            "money": rows["value"].to_numpy(float),
            "machine_days": 0.0,
            "message": pd.Series(message, dtype=TEXT),
            "action": pd.Series(action, dtype=TEXT),
        }
    )
