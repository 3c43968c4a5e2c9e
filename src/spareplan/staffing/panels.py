"""Panels of regions for the benchmark: one from a head count plan, one month by month."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem
from spareplan.staffing.benchmark import LEAST_REGIONS
from spareplan.staffing.visits import SKILLS

TOO_FEW = "too few regions: only the model's own requirement"
_SEASON = 12


def plan_panel(
    table: pd.DataFrame, regions: pd.DataFrame, workload: pd.DataFrame, places: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Lay out the regions of a head count plan for `benchmark_regions`.

    Parameters
    ----------
    table : DataFrame
        `Headcount.table`.
    regions : DataFrame
        `Headcount.regions`: region_id, machines, required, present [machines, people].
    workload : DataFrame
        `Headcount.workload`: region_id, orders_p1, orders_p2, orders.
    places : DataFrame, optional
        region_id, effective_km2, from `spareplan.staffing.places`.

    Returns
    -------
    DataFrame
        region_id, units, engineers, required, area_km2 (effective), urgent_share (P1 and P2), skilled_share
        (above the lowest skill); regions without machines or engineers have no figure per engineer and are
        left out.
    """
    out = regions[["region_id", "machines", "present", "required"]]
    out = out.rename(columns={"machines": "units", "present": "engineers"})
    sums = workload.groupby("region_id")[["orders_p1", "orders_p2", "orders"]].sum()
    urgent = (sums["orders_p1"] + sums["orders_p2"]) / sums["orders"].where(sums["orders"] > 0)
    heads = table.drop_duplicates(["region_id", "skill"])
    heads = heads.assign(skilled=heads["headcount"].where(heads["skill"] != SKILLS[0], 0.0))
    crews = heads.groupby("region_id")[["skilled", "headcount"]].sum()
    skilled = crews["skilled"] / crews["headcount"].where(crews["headcount"] > 0)
    out = out.assign(
        urgent_share=out["region_id"].map(urgent).fillna(0.0), skilled_share=out["region_id"].map(skilled)
    )
    if places is not None:
        area = out["region_id"].map(places.set_index("region_id")["effective_km2"])
        # A feature that some region lacks cannot be compared.
        if (area > 0).all():
            out["area_km2"] = area
    there = (out["units"] > 0) & (out["engineers"] > 0)
    return out[there].sort_values("region_id", ignore_index=True)


def benchmark_months(panel: pd.DataFrame) -> pd.DataFrame:
    """Elasticities from months of many regions, errors robust to what a region keeps in common.

    Parameters
    ----------
    panel : DataFrame
        region_id, month, units, engineers; optional area_km2 [km²], urgent_share, mean_age_years.

    Returns
    -------
    DataFrame
        name, estimate, standard_error, regions, months, note; empty estimates and the note "too few regions:
        only the model's own requirement" below 20 regions.

    Raises
    ------
    DataError
        Missing columns, doubled region-months, values that are missing or not above 0.

    Notes
    -----
    log engineers = b0 + b1 log units + b2 log area + b3 urgent share + b4 age + season (sine and cosine of
    the year) by least squares; the months of one region are no new regions, so errors are clustered by
    region [1]_.

    References
    ----------
    .. [1] Liang, Zeger (1986), Longitudinal data analysis using generalized linear models, Biometrika 73.
    """
    _check(panel)
    rows = panel.sort_values(["region_id", "month"], ignore_index=True)
    regions, months = rows["region_id"].nunique(), rows["month"].nunique()
    design = {"constant": np.ones(len(rows)), "log_units": np.log(rows["units"].to_numpy(float))}
    if "area_km2" in rows:
        design["log_area"] = np.log(rows["area_km2"].to_numpy(float))
    for name in ("urgent_share", "mean_age_years"):
        if name in rows:
            design[name] = rows[name].to_numpy(float)
    if months >= _SEASON:
        turn = 2 * np.pi * (pd.DatetimeIndex(rows["month"]).month.to_numpy() - 1) / _SEASON
        design |= {"season_sine": np.sin(turn), "season_cosine": np.cos(turn)}
    if regions < LEAST_REGIONS:
        out = pd.DataFrame({"name": list(design), "estimate": np.nan, "standard_error": np.nan})
        return out.assign(regions=regions, months=months, note=TOO_FEW)
    import statsmodels.api as sm

    columns = {k: v for k, v in design.items() if k == "constant" or np.ptp(v) > 1e-9}
    fit = sm.OLS(np.log(rows["engineers"].to_numpy(float)), np.column_stack(list(columns.values()))).fit(
        cov_type="cluster", cov_kwds={"groups": rows["region_id"].astype("category").cat.codes.to_numpy()}
    )
    out = pd.DataFrame({"name": list(columns), "estimate": fit.params, "standard_error": fit.bse})
    return out.assign(regions=regions, months=months, note="errors clustered by region")


def _check(panel: pd.DataFrame) -> None:
    wanted = ("region_id", "month", "units", "engineers")
    problems = [
        Problem("panel", 0, name, "", "is missing", "add the column") for name in wanted if name not in panel
    ]
    if problems:
        raise DataError(problems)
    for row in np.flatnonzero(panel.duplicated(["region_id", "month"])):
        value = f"{panel['region_id'].iloc[row]} {panel['month'].iloc[row]}"
        problems.append(Problem("panel", int(row) + 2, "month", value, "stands once", "drop the double"))
    for column in ("units", "engineers", "area_km2", "urgent_share", "mean_age_years"):
        if column not in panel:
            continue
        values = panel[column].to_numpy(float)
        positive = column in ("units", "engineers", "area_km2")
        rule = "is above 0" if positive else "is a number"
        fine = np.isfinite(values) & ((values > 0) | (not positive))
        for row in np.flatnonzero(~fine):
            shown = str(panel[column].iloc[row])
            problems.append(Problem("panel", int(row) + 2, column, shown, rule, "leave the row out"))
    if problems:
        raise DataError(problems)
