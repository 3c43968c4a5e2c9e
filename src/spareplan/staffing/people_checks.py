"""Reads the arguments of the people plan, and names every one that is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spareplan.config import StaffingOptions
from spareplan.errors import DataError, Problem
from spareplan.staffing.people_model import PeopleCase

FloatArray = NDArray[np.float64]

FUNCTION = "plan_people"
MOST_MONTHS = 60


class Names(NamedTuple):
    """Names of regions, skills and months in the tables."""

    regions: NDArray[Any]
    skills: NDArray[Any]
    months: Any


class Reader:
    """Turns arguments into arrays and gathers what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def refuse(self, argument: str, value: object, rule: str, remedy: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(FUNCTION, 0, argument, str(value), rule, remedy))

    def array(
        self,
        argument: str,
        value: ArrayLike,
        shapes: tuple[tuple[int, ...], ...],
        above: float = 0.0,
        by_region: bool = False,
    ) -> FloatArray:
        """Numbers of one of the shapes (broadcast to the first), finite and at least `above`.

        One figure per region is spread along the rows if `by_region`, else one per month down the columns.
        """
        try:
            out = np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            self.refuse(argument, type(value).__name__, "is an array of numbers", "give numbers")
            return np.ones(shapes[0])
        if out.shape not in shapes:
            wanted = " or ".join(str(shape) for shape in shapes)
            self.refuse(argument, f"shape {out.shape}", f"has shape {wanted}", "give one figure for each")
            return np.ones(shapes[0])
        for wrong, rule in (
            (~np.isfinite(out), "is a finite number"),
            (out < above, f"is at least {above:g}"),
        ):
            if wrong.any():
                place = tuple(int(i) for i in np.argwhere(wrong)[0])
                self.refuse(
                    f"{argument}{list(place) if place else ''}",
                    f"{out[place]} ({int(wrong.sum())} in all)",
                    rule,
                    "correct the figure",
                )
                break
        if out.ndim == 1 and by_region:
            out = out[:, None]
        return np.broadcast_to(out, shapes[0]).copy()

    def names(self, argument: str, given: Sequence[Any] | None, count: int, usual: Any) -> Any:
        """Names, one for each, all different."""
        if given is None:
            return usual
        try:
            out = pd.Index(given)
        except TypeError:
            self.refuse(argument, given, f"is a list of {count} names", "give one name for each")
            return usual
        if len(out) != count:
            self.refuse(argument, f"{len(out)} names", f"has {count} names", "give one name for each")
            return usual
        if out.has_duplicates or out.hasnans:
            self.refuse(
                argument,
                out[out.duplicated() | out.isna()][0],
                "names are there and differ",
                "name each once",
            )
            return usual
        return out.to_numpy()


def read_case(
    need: ArrayLike,
    heads: ArrayLike,
    annual_cost: ArrayLike,
    options: StaffingOptions,
    efficiency: ArrayLike | None,
    distance_km: ArrayLike | None,
    work_hours: ArrayLike | None,
    paid_hours: ArrayLike | None,
    inspections: ArrayLike | None,
    inspection_hours: ArrayLike,
    stage_weight: ArrayLike | None,
    regions: Sequence[Any] | None,
    months: Sequence[Any] | None,
    skills: Sequence[str] | None,
) -> tuple[PeopleCase, Names]:
    """Arguments of `plan_people` as a case, with the names for its tables.

    Raises
    ------
    DataError
    """
    reader = Reader()
    if not isinstance(options, StaffingOptions):
        reader.refuse("options", type(options).__name__, "is StaffingOptions", "give StaffingOptions()")
        raise DataError(reader.problems)
    try:
        needed = np.asarray(need, dtype=float)
    except (TypeError, ValueError):
        needed = np.empty(0)
    if needed.ndim != 3 or 0 in needed.shape or needed.shape[-1] > MOST_MONTHS:
        reader.refuse(
            "need",
            f"shape {needed.shape}",
            f"has shape (regions, skills, months), each at least 1, at most {MOST_MONTHS} months",
            "give the people needed per region, skill and month",
        )
        raise DataError(reader.problems)
    count, levels, periods = needed.shape
    needed = reader.array("need", needed, (needed.shape,))
    there = reader.array("heads", heads, ((count, levels),))
    cost = reader.array("annual_cost", annual_cost, ((count, levels),))
    worth = np.ones((count, levels))
    if efficiency is not None:
        worth = reader.array("efficiency", efficiency, ((count, levels),), above=0.01)
    weight = np.ones((count, periods))
    if stage_weight is not None:
        weight = reader.array("stage_weight", stage_weight, ((count, periods), (count,)), by_region=True)
    distance = None
    if distance_km is not None:
        distance = reader.array("distance_km", distance_km, ((count, count),))
    hours_need = movable = load = None
    if work_hours is not None:
        work = reader.array("work_hours", work_hours, ((count, periods),))
        if paid_hours is None:
            reader.refuse("paid_hours", None, "is given with work_hours", "give the paid hours of a month")
        else:
            paid = reader.array("paid_hours", paid_hours, ((count, periods), (periods,)), above=1.0)
            useful = np.maximum(paid, 1.0) * options.max_utilisation
            hours_need = work / useful
            if inspections is not None:
                movable = reader.array("inspections", inspections, ((count, periods),))
                each = reader.array(
                    "inspection_hours", inspection_hours, ((count, 1), (count,), ()), by_region=True
                )
                load = each / useful
                over = movable * each > work * (1.0 + 1e-9) + 1e-9
                if over.any() and not reader.problems:
                    place = tuple(int(i) for i in np.argwhere(over)[0])
                    reader.refuse(
                        f"inspections{list(place)}",
                        movable[place],
                        "hours of inspections are part of work_hours",
                        "add them to work_hours",
                    )
    elif inspections is not None or paid_hours is not None:
        reader.refuse(
            "work_hours", None, "is given with inspections or paid_hours", "give the hours of work as well"
        )
    usual = np.array(["junior", "senior", "expert"], dtype=object)
    names = Names(
        reader.names("regions", regions, count, np.arange(1, count + 1)),
        reader.names("skills", skills, levels, usual if levels == 3 else np.arange(1, levels + 1)),
        reader.names("months", months, periods, np.arange(1, periods + 1)),
    )
    if reader.problems:
        raise DataError(reader.problems)
    case = PeopleCase(needed, there, cost, worth, hours_need, movable, load, weight, distance, options)
    return case, names
