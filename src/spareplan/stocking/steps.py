"""Progress of a search for levels as one bar: each step has its share of the whole, so time left is told."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
ALL = 1000
# Where each step begins and ends, by how long it takes in large networks; small ones leave some out.
SPANS = {
    "read": (0, 30),
    "some parts": (30, 80),
    "prices, roughly": (80, 250),
    "budget": (30, 950),
    "prices": (250, 550),
    "proof": (550, 780),
    "columns": (550, 750),
    "pieces": (780, 820),
    "stocks of stations": (785, 820),
    "whole levels": (820, 840),
    "branches": (840, 940),
    "short budget": (930, 960),
    "tables": (960, 1000),
}


def as_one(progress: Progress | None) -> Progress | None:
    """Tell steps as parts of one whole that never goes back.

    Parameters
    ----------
    progress : callable or None
        Called with (step, done, all), all always the same; None stays None.

    Returns
    -------
    callable or None
        To be called with (step, done, all) of the step; a step without a span only changes the name.
    """
    if progress is None:
        return None
    tell: Progress = progress
    reached = 0

    def told(step: str, done: int, total: int) -> None:
        nonlocal reached
        begin, end = SPANS.get(step, (reached, reached))
        share = done / total if total else 1.0
        reached = max(reached, begin + int((end - begin) * min(share, 1.0)))
        tell(step, reached, ALL)

    return told
