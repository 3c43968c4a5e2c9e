"""Made-up fleets wear out by true renewal: a piece lives its Weibull life, then a new one starts.

Operating hours run by a clock per product and region (use and season); lives are drawn for all positions of a
fleet at once, the loop runs over the number of the renewal.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# A piece survives its first two days whatever their use, so that no two replacements share position and day.
SHORTEST_LIFE_HOURS = 48.0
_GROUP_OFFSET = 1e7


@dataclass(frozen=True)
class Clock:
    """Operating hours since the first month, per group of units used alike.

    Parameters
    ----------
    edges : ndarray of float, shape (m + 1,)
        Month edges as days since 1970-01-01. [days]
    hours : ndarray, shape (g, m + 1)
        Operating hours up to each edge, strictly increasing. [hours]
    """

    edges: Floats
    hours: Floats

    @classmethod
    def from_monthly(cls, months: pd.DatetimeIndex, hours_per_month: Floats) -> Clock:
        """Build the clock from hours per group and month.

        Parameters
        ----------
        months : DatetimeIndex, shape (m,)
            Consecutive month starts.
        hours_per_month : ndarray, shape (g, m)
            Hours of one unit, above zero. [hours]

        Returns
        -------
        Clock
        """
        edges = to_day(months.append(pd.DatetimeIndex([months[-1] + pd.DateOffset(months=1)]))).astype(float)
        start = np.zeros((len(hours_per_month), 1))
        return cls(edges, np.hstack([start, np.cumsum(hours_per_month, axis=1)]))

    def hours_at(self, group: Ints, day: Floats) -> Floats:
        """Hours run by a unit of each group up to a day.

        Parameters
        ----------
        group : ndarray of int, shape (n,)
        day : ndarray, shape (n,)
            Within the edges. [days since 1970-01-01]

        Returns
        -------
        ndarray, shape (n,)
            [hours]
        """
        month = np.clip(np.searchsorted(self.edges, day, side="right") - 1, 0, len(self.edges) - 2)
        part = (day - self.edges[month]) / (self.edges[month + 1] - self.edges[month])
        before = self.hours[group, month]
        return before + part * (self.hours[group, month + 1] - before)

    def day_at(self, group: Ints, hours: Floats) -> Floats:
        """Day on which a unit of each group reaches a number of hours; inverse of `hours_at`.

        Parameters
        ----------
        group : ndarray of int, shape (n,)
        hours : ndarray, shape (n,)
            [hours]

        Returns
        -------
        ndarray, shape (n,)
            [days since 1970-01-01]
        """
        count = self.hours.shape[1]
        # One sorted line of all groups, far apart, lets a single search serve them all.
        line = (self.hours + _GROUP_OFFSET * np.arange(len(self.hours))[:, None]).ravel()
        place = np.searchsorted(line, hours + _GROUP_OFFSET * group, side="right") - 1 - group * count
        month = np.clip(place, 0, count - 2)
        before = self.hours[group, month]
        part = (hours - before) / (self.hours[group, month + 1] - before)
        return self.edges[month] + part * (self.edges[month + 1] - self.edges[month])


class Renewals(NamedTuple):
    """Replacements of a simulated fleet, sorted by day and position.

    Parameters
    ----------
    position : ndarray of int, shape (k,)
        Row of the position that was renewed.
    day : ndarray of int, shape (k,)
        Day of the replacement. [days since 1970-01-01]
    planned : ndarray of bool, shape (k,)
        Replaced at its planned age, not because it failed.
    """

    position: Ints
    day: Ints
    planned: NDArray[np.bool_]


def simulate_renewals(
    rng: np.random.Generator,
    clock: Clock,
    group: Ints,
    start_day: Floats,
    end_day: Floats,
    shape: Floats,
    scale: Floats,
    planned_age: Floats | float = np.inf,
    use: Floats | float = 1.0,
    age: Floats | float = 0.0,
) -> Renewals:
    """Renew every position from its start to its end, one Weibull life after the other.

    Parameters
    ----------
    rng : Generator
    clock : Clock
    group : ndarray of int, shape (n,)
        Row of the clock that a position runs by.
    start_day, end_day : ndarray, shape (n,)
        New machine in service, and end of the simulation or of the machine. [days since 1970-01-01]
    shape, scale : ndarray, shape (n,)
        Weibull life of a piece. [-, operating hours]
    planned_age : ndarray or float
        Age at which a piece alive is replaced as planned; infinite: never. [operating hours]
    use : ndarray or float
        Use of the machine as a multiple of its group's.
    age : ndarray or float
        Age of the piece that is in at the start; 0: a new one. [operating hours]

    Returns
    -------
    Renewals
        Replacements from start_day to before end_day.
    """
    count = len(group)
    planned_age = np.broadcast_to(np.asarray(planned_age, dtype=float), count)
    use = np.broadcast_to(np.asarray(use, dtype=float), count)
    age = np.broadcast_to(np.asarray(age, dtype=float), count)
    alive = np.arange(count)
    hours = clock.hours_at(group, start_day) * use
    end_hours = clock.hours_at(group, end_day) * use
    found: list[tuple[Ints, Floats, NDArray[np.bool_]]] = []
    while alive.size:
        # The hazard outlived is added to the exponential draw: the life given survival to this age.
        outlived = (age[alive] / scale[alive]) ** shape[alive]
        life = scale[alive] * (outlived + rng.standard_exponential(alive.size)) ** (1 / shape[alive])
        planned = life > planned_age[alive]
        life = np.maximum(np.where(planned, planned_age[alive], life), SHORTEST_LIFE_HOURS)
        hours = hours + np.maximum(life - age[alive], 0)
        age = np.zeros(count)
        inside = hours < end_hours[alive]
        alive, hours, planned = alive[inside], hours[inside], planned[inside]
        found.append((alive, hours, planned))
    position = np.concatenate([item[0] for item in found]) if found else np.zeros(0, dtype=np.int64)
    reached = np.concatenate([item[1] for item in found]) if found else np.zeros(0)
    was_planned = np.concatenate([item[2] for item in found]) if found else np.zeros(0, dtype=bool)
    day = np.floor(clock.day_at(group[position], reached / use[position])).astype(np.int64)
    keep = (day >= start_day[position]) & (day < end_day[position])
    position, day, was_planned = position[keep], day[keep], was_planned[keep]
    order = np.lexsort((position, day))
    return Renewals(position[order], day[order], was_planned[order])


def stream(seed: int, name: str) -> np.random.Generator:
    """Random numbers of one table: the same whatever other tables draw.

    Parameters
    ----------
    seed : int
        Seed of the sample, not negative.
    name : str
        Name of the stream.

    Returns
    -------
    Generator
    """
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def to_day(dates: Any) -> Ints:
    """Dates as whole days since 1970-01-01.

    Parameters
    ----------
    dates : array-like of datetime, shape (n,)

    Returns
    -------
    ndarray of int, shape (n,)
        [days]
    """
    return pd.DatetimeIndex(dates).to_numpy().astype("datetime64[D]").astype(np.int64)


def to_date(days: Any) -> pd.DatetimeIndex:
    """Whole days since 1970-01-01 as dates; inverse of `to_day`.

    Parameters
    ----------
    days : array-like of number, shape (n,)
        [days]

    Returns
    -------
    DatetimeIndex, shape (n,)
    """
    return pd.DatetimeIndex(np.asarray(days).astype(np.int64).astype("datetime64[D]").astype("datetime64[s]"))


def renew_fleet(rng: np.random.Generator, clock: Clock, pieces: pd.DataFrame) -> pd.DataFrame:
    """Renew the pieces of a fleet, position by position.

    Parameters
    ----------
    rng : Generator
    clock : Clock
    pieces : DataFrame
        A row per machine and part: quantity; as_set (all positions renewed together); group (row of the
        clock); start_day, end_day [days since 1970-01-01]; shape, scale_hours; planned_age_hours (infinite:
        never); use (multiple of the group's hours).

    Returns
    -------
    DataFrame
        piece (position of the row in `pieces`), replaced_on, quantity, position (from 1), planned.
    """
    quantity = pieces["quantity"].to_numpy()
    as_set = pieces["as_set"].to_numpy()
    row, position = expand_positions(pieces)
    columns = ["group", "start_day", "end_day", "shape", "scale_hours", "planned_age_hours", "use"]
    group, *numbers = (pieces[name].to_numpy()[row] for name in columns)
    found = simulate_renewals(rng, clock, group, *numbers)
    piece = row[found.position]
    return pd.DataFrame(
        {
            "piece": piece,
            "replaced_on": to_date(found.day),
            "quantity": np.where(as_set[piece], quantity[piece], 1),
            "position": position[found.position],
            "planned": found.planned,
        }
    )


def expand_positions(pieces: pd.DataFrame) -> tuple[Ints, Ints]:
    """Give every position in a machine its own place; a set that is renewed together has one.

    Parameters
    ----------
    pieces : DataFrame
        quantity, as_set.

    Returns
    -------
    row, position : ndarray of int, shape (n,)
        Row of `pieces`, and number of the position from 1.
    """
    positions = np.where(pieces["as_set"], 1, pieces["quantity"])
    row = np.repeat(np.arange(len(pieces)), positions)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(positions) - positions, positions) + 1


def compound_sales(
    rng: np.random.Generator, orders_per_month: Floats, mean_size: Floats, months: int
) -> tuple[Ints, Ints, Ints]:
    """Monthly sales of orders that come at random with geometric sizes.

    Parameters
    ----------
    rng : Generator
    orders_per_month : ndarray, shape (n,)
        [orders per month]
    mean_size : ndarray, shape (n,)
        At least 1. [pieces]
    months : int
        Months of history.

    Returns
    -------
    row, month, quantity : ndarray of int, shape (k,)
        Only months with sales, sorted by row and month.
    """
    # Poisson totals spread over the months at random are Poisson by month, and cost only what is sold.
    count = rng.poisson(orders_per_month * months)
    row = np.repeat(np.arange(len(count)), count)
    cell, orders = np.unique(row * months + rng.integers(0, months, len(row)), return_counts=True)
    row, month = np.divmod(cell, months)
    return row, month, orders + rng.negative_binomial(orders, 1 / mean_size[row])


def sum_equal_rows(events: pd.DataFrame) -> pd.DataFrame:
    """Sum pieces of one part replaced in one machine on one day, where no position tells them apart.

    Parameters
    ----------
    events : DataFrame
        quantity, and columns that say what was replaced.

    Returns
    -------
    DataFrame
        Same columns, rows in the order of first appearance.
    """
    keys = [name for name in events.columns if name != "quantity"]
    total = events.groupby(keys, sort=False, dropna=False)["quantity"].sum().reset_index()
    return total[events.columns]


def renew_products(
    rng: np.random.Generator, clock: Clock, units: pd.DataFrame, fits: pd.DataFrame, lives: pd.DataFrame
) -> pd.DataFrame:
    """Renew a large fleet product by product, so that only one product's pieces are held at a time.

    Parameters
    ----------
    rng : Generator
    clock : Clock
    units : DataFrame
        A row per machine: product (code), group, start_day, end_day, use.
    fits : DataFrame
        product, part (row of `lives`), quantity.
    lives : DataFrame
        A row per part: shape, scale_hours, planned_age_hours.

    Returns
    -------
    DataFrame
        unit (row of `units`), part, replaced_on, quantity, position, planned; sorted by day, unit, part.
    """
    found = []
    for product, fitted in fits.groupby("product"):
        unit = np.flatnonzero(units["product"].to_numpy() == product)
        row, place = np.repeat(unit, len(fitted)), np.tile(np.arange(len(fitted)), len(unit))
        part = fitted["part"].to_numpy()[place]
        pieces = pd.DataFrame(
            {
                **{name: units[name].to_numpy()[row] for name in ("group", "start_day", "end_day", "use")},
                **{
                    name: lives[name].to_numpy()[part]
                    for name in ("shape", "scale_hours", "planned_age_hours")
                },
                "quantity": fitted["quantity"].to_numpy()[place],
                "as_set": False,
            }
        )
        events = renew_fleet(rng, clock, pieces)
        piece = events.pop("piece").to_numpy()
        found.append(events.assign(unit=row[piece], part=part[piece]))
    events = pd.concat(found, ignore_index=True)
    return events.sort_values(["replaced_on", "unit", "part", "position"], ignore_index=True)
