"""All that is asked of levels, read from plain tables: pipelines, promises, windows, caps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import InfeasibleError
from spareplan.stocking._forest import Forest
from spareplan.stocking._reading import unique_ids
from spareplan.stocking.caps import cap_problems, with_caps
from spareplan.stocking.ceilings import Ceilings, name_ceilings
from spareplan.stocking.clashes import refuse_clashes
from spareplan.stocking.pipelines import Pipelines
from spareplan.stocking.promises import Promises
from spareplan.stocking.reading import read_pipelines
from spareplan.stocking.targets import read_targets, read_windows, target_problems
from spareplan.stocking.unpriced import unpriced_rows


@dataclass(frozen=True)
class Asked:
    """What levels are asked to do.

    Parameters
    ----------
    forest, pipelines, promises
        Rows, and what they promise.
    method : str
        Evaluation.
    window_days : ndarray, shape (rows,)
        Window of each row of the pipelines; NaN: none. [days]
    exact : ndarray of bool, shape (rows,)
        Rows whose share within the window is priced exactly, not only on the safe side.
    ceilings : Ceilings, optional
        Rules that hold levels down.
    unpriced : ndarray of bool, shape (rows,), optional
        Rows, in the order of the forest, of parts that cost nothing; None: all have a price.
    """

    forest: Forest
    pipelines: Pipelines
    promises: Promises
    method: str
    window_days: NDArray[np.float64]
    exact: NDArray[np.bool_]
    ceilings: Ceilings | None = None
    unpriced: NDArray[np.bool_] | None = None

    @property
    def eased(self) -> Promises | None:
        """Promises under which a lower bound holds; None: the promises themselves."""
        late = self.promises.late_promise
        if late is None or self.exact[late >= 0].all():
            return None
        return replace(self.promises, late_factor=np.where(self.exact, self.promises.late_factor, 0.0))


def read_wishes(
    sites: pd.DataFrame,
    parts: pd.DataFrame,
    rates: pd.DataFrame,
    targets: pd.DataFrame | None,
    method: str,
    limits: pd.DataFrame | None = None,
    caps: pd.DataFrame | None = None,
    bound: Callable[[Forest, Pipelines], tuple[Pipelines, Ceilings | None]] | None = None,
) -> Asked:
    """Read, check and lay out what `solve_levels` is asked.

    Parameters
    ----------
    sites, parts, rates, targets, limits, caps : DataFrame
        As in `solve_levels`.
    method : str
        Evaluation.
    bound : callable, optional
        Lays further ceilings on the rows.

    Returns
    -------
    Asked

    Raises
    ------
    DataError
        Faults of the tables, all at once.
    InfeasibleError
        Targets that no stock can keep.
    """
    faults = target_problems(targets, parts, unique_ids(sites, "site_id")) + cap_problems(caps, sites)
    forest, pipelines = read_pipelines(sites, parts, rates, method, limits, faults)
    pipelines, window_days, exact = read_windows(targets, parts, forest, pipelines)
    promises = read_targets(targets, parts, forest, pipelines)
    promises = with_caps(promises, caps, sites, forest, pipelines)
    pipelines, ceilings = (pipelines, None) if bound is None else bound(forest, pipelines)
    try:
        refuse_clashes(forest, pipelines, promises)
    except InfeasibleError as error:
        raise error if ceilings is None else name_ceilings(error, forest, pipelines, ceilings) from error
    return Asked(
        forest, pipelines, promises, method, window_days, exact, ceilings, unpriced_rows(parts, forest)
    )
