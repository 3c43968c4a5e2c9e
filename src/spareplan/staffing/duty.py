"""When engineers are on duty: round the clock, or by day with a crew on call."""

from __future__ import annotations

from dataclasses import dataclass

from spareplan.maths.units import HOURS_PER_DAY


@dataclass(frozen=True)
class Duty:
    """Hours on shift, and who is called out beyond them.

    Parameters
    ----------
    start, end : float
        Hours of the day; 0 and 24: round the clock. A job that is under way at the end is finished.
    days_a_week : int
        Days with a shift, from Monday.
    on_call : int, optional
        Engineers who can be called out beyond the shift; None: all.
    called_out : int
        Urgent classes, counted from the first, that are served beyond the shift; the others wait for it.
    """

    start: float = 0.0
    end: float = HOURS_PER_DAY
    days_a_week: int = 7
    on_call: int | None = None
    called_out: int = 2

    @property
    def round_the_clock(self) -> bool:
        """No hour of the week without a shift."""
        return self.end - self.start >= HOURS_PER_DAY and self.days_a_week == 7
