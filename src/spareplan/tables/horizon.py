"""The frozen horizon: the coming weeks in which what was issued stays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.maths.units import DAYS_PER_WEEK


@dataclass(frozen=True)
class FrozenHorizon:
    """Days in which the numbers of an issued plan stay.

    Parameters
    ----------
    first : Timestamp
        Monday of the first week that is planned.
    weeks : int
        Weeks that are frozen. [weeks]
    order_weeks : int
        Of these the weeks that the issued plan has orders for. [weeks]
    issued_on : Timestamp
        Last day that the issued plan knew; decisions of later days may reach into the horizon.
    version : int, optional
        Number of the issued plan in its store.
    known : frozenset of str
        Decisions that the issued plan already holds, as `spareplan.tables.scopes.decision_keys` names them.
    """

    first: pd.Timestamp
    weeks: int
    order_weeks: int
    issued_on: pd.Timestamp
    version: int | None = None
    known: frozenset[str] = field(default_factory=frozenset)

    @property
    def until(self) -> pd.Timestamp:
        """Last frozen day."""
        return self.first + pd.Timedelta(days=DAYS_PER_WEEK * self.weeks - 1)

    @property
    def orders_until(self) -> pd.Timestamp:
        """Last day of the weeks in which orders stay."""
        return self.first + pd.Timedelta(days=DAYS_PER_WEEK * self.order_weeks - 1)

    @property
    def words(self) -> str:
        """The issued plan in words."""
        number = "" if self.version is None else f"version {self.version}, "
        return f"{number}plan as of {self.issued_on:%Y-%m-%d}"

    def holds(self, keys: pd.DataFrame) -> NDArray[np.bool_]:
        """Rows that lie inside: weeks that begin in it, months that lie wholly within, rows of no time.

        Parameters
        ----------
        keys : DataFrame
            week and month where the table has them.

        Returns
        -------
        ndarray of bool, shape (len(keys),)
        """
        if "week" in keys:
            return (keys["week"] <= self.orders_until).to_numpy(dtype=bool)
        if "month" in keys:
            return self.holds_months(keys["month"])
        return np.ones(len(keys), dtype=bool)

    def holds_months(self, months: pd.Series) -> NDArray[np.bool_]:
        """Months that end within the horizon.

        Parameters
        ----------
        months : Series of Timestamp

        Returns
        -------
        ndarray of bool
        """
        return (months + pd.offsets.MonthEnd(0) <= self.until).to_numpy(dtype=bool)
