"""What headquarters asks of a finished head count: peers, scale, and what one engineer more buys."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.maths.units import days_in_month
from spareplan.staffing.benchmark import benchmark_regions
from spareplan.staffing.marginal import one_more_engineer
from spareplan.staffing.model import RegionModel
from spareplan.staffing.night import on_duty, served_hours
from spareplan.staffing.panels import TOO_FEW, plan_panel
from spareplan.staffing.plan_rows import PlanRows
from spareplan.staffing.scale import area_growth, pooling_elasticity, scale_table
from spareplan.staffing.sizing import Phases
from spareplan.staffing.teams import Teams

FloatArray = NDArray[np.float64]
_LEAST_PANEL = 3


class HeadquartersView(NamedTuple):
    """Frames for `results.Headcount`.

    Parameters
    ----------
    marginal : DataFrame
        `spareplan.staffing.marginal.one_more_engineer`.
    benchmark : DataFrame
        `spareplan.staffing.benchmark.Benchmark.table`; below 20 regions without expectation and interval.
    scale : DataFrame
        `spareplan.staffing.scale.scale_table`.
    """

    marginal: pd.DataFrame
    benchmark: pd.DataFrame
    scale: pd.DataFrame


def headquarters_view(
    table: pd.DataFrame,
    workload: pd.DataFrame,
    regions: pd.DataFrame,
    plan: PlanRows,
    model: RegionModel,
    teams: Teams,
    phases: Phases,
    known: pd.Timestamp,
    seed: int = 0,
) -> HeadquartersView:
    """Hold the plan's regions against their peers, tell their scale, and price one engineer more.

    Parameters
    ----------
    table, workload, regions : DataFrame
        `Headcount.table`, `Headcount.workload`, `Headcount.regions`.
    plan : PlanRows
    model : RegionModel
    teams : Teams
    phases : Phases
    known : Timestamp
        Last day that is known.
    seed : int
        Of the band of the benchmark.

    Returns
    -------
    HeadquartersView
    """
    options, count, periods = plan.options, len(plan.regions), len(plan.months)
    duty = float(on_duty(1.0, plan.duty, options))
    cover = np.tile(served_hours(days_in_month(plan.months), plan.duty, options), count)
    marginal = one_more_engineer(
        plan.regions,
        plan.rows,
        plan.promises,
        plan.orders_per_hour() * cover[:, None],
        (teams.heads * teams.efficiency).sum(axis=1),
        (teams.cost * teams.mix).sum(axis=1),
        plan.repairs,
        phases,
        duty,
    )
    work = workload.sort_values(["region_id", "month"])
    people = work[["people_for_waits", "people_for_hours"]].to_numpy(float).max(axis=1)
    fullest = np.arange(count) * periods + people.reshape(count, periods).argmax(axis=1)
    pooling = pooling_elasticity(
        plan.rows.pick(fullest),
        plan.promises,
        plan.repairs.pick(fullest),
        phases,
        work["people_for_hours"].to_numpy(float)[fullest],
        duty,
        options.least_gain,
    )
    growth = area_growth(plan.regions, model.units, known)
    scale = scale_table(workload, growth.table, pd.Series(pooling, index=plan.regions))
    panel = plan_panel(table, regions, workload, model.places)
    return HeadquartersView(marginal, _compared(panel, seed), scale)


def _compared(panel: pd.DataFrame, seed: int) -> pd.DataFrame:
    if len(panel) >= _LEAST_PANEL:
        out = benchmark_regions(panel, seed=seed, bootstraps=0).table
    else:
        out = panel[["region_id", "units", "engineers", "required"]].assign(
            units_per_engineer=panel["units"] / panel["engineers"],
            expected=np.nan,
            low=np.nan,
            high=np.nan,
            flag="too_few_regions",
            reason="",
        )
    few = out["flag"] == "too_few_regions"
    if few.any():
        numbers = out[["units", "engineers", "required"]].to_numpy()
        said = [f"{u:.0f} machines, {e:.0f} engineers, {r:.0f} required; {TOO_FEW}" for u, e, r in numbers]
        out = out.assign(reason=np.where(few, said, out["reason"]), expected=out["expected"].mask(few))
    return out
