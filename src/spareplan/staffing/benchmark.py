"""Machines per engineer, region against region, and why the figure rises and falls as a market grows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.errors import DataError, Problem

FloatArray = NDArray[np.float64]
# Below this many regions an interval from peers says nothing.
LEAST_REGIONS = 20
FEATURES = {
    "area_km2": "log_area",
    "urgent_share": "urgent_share",
    "skilled_share": "skilled_share",
    "mean_age_years": "mean_age_years",
}
NUMBERS = ("units", "engineers", *FEATURES, "required")


class Benchmark(NamedTuple):
    """Result of `benchmark_regions`.

    Parameters
    ----------
    table : DataFrame
        A row per region: region_id, units, engineers, units_per_engineer, expected, low, high (engineers that
        peers with the same machines would have, the region itself left out), flag (under, usual, over,
        too_few_regions), reason; `required` where it was given.
    coefficients : DataFrame
        name, estimate, standard_error (robust to unequal spread), meaning.
    curve : DataFrame
        units, units_per_engineer (LOWESS), low, high (bootstrap band).
    """

    table: pd.DataFrame
    coefficients: pd.DataFrame
    curve: pd.DataFrame


def benchmark_regions(
    panel: pd.DataFrame, level: float = 0.90, seed: int = 0, bootstraps: int = 200
) -> Benchmark:
    """Compare every region's engineers with what its peers would have.

    Parameters
    ----------
    panel : DataFrame
        region_id, units, engineers; optional area_km2 [km²], urgent_share, skilled_share, mean_age_years,
        market_stage, required (the model's own opinion, printed beside).
    level : float
        Coverage of the interval from peers.
    seed : int
        Of the bootstrap band.
    bootstraps : int
        Resamples of the regions behind the band of the curve; 0: no band.

    Returns
    -------
    Benchmark

    Raises
    ------
    DataError
        Missing columns, doubled regions, regions without machines or engineers.

    Notes
    -----
    log engineers = b0 + b1 log units + b2 log area + ... by least squares; each region is predicted by a fit
    that left it out, with Student's t. Fewer than 20 regions: no flags.

    References
    ----------
    .. [1] Cleveland (1979), Robust locally weighted regression, J. American Statistical Association 74.
    .. [2] MacKinnon, White (1985), Some heteroskedasticity-consistent covariance matrix estimators, J.
       Econometrics 29 (HC3).
    """
    import statsmodels.api as sm
    from scipy import stats

    _check(panel, level)
    rows = panel.sort_values("region_id", ignore_index=True)
    design = _design(rows)
    target = np.log(rows["engineers"].to_numpy(float))
    fit = sm.OLS(target, design.to_numpy(float)).fit(cov_type="HC3")
    hat = np.einsum("ij,jk,ik->i", design, np.linalg.pinv(design.T.to_numpy() @ design.to_numpy()), design)
    free = len(rows) - design.shape[1]
    out = rows[["region_id", "units", "engineers"]].copy()
    out["units_per_engineer"] = out["units"] / out["engineers"]
    enough = len(rows) >= LEAST_REGIONS and free > 2 and hat.max() < 1.0 - 1e-9
    if enough:
        # Residual, spread and leverage of the fit without the region, from the one fit with it.
        left_out = fit.resid / (1.0 - hat)
        spread2 = (free * np.mean(fit.resid**2) * len(rows) / free - fit.resid**2 / (1.0 - hat)) / (free - 1)
        half = stats.t.ppf(0.5 + level / 2, free - 1) * np.sqrt(np.maximum(spread2, 1e-300) / (1.0 - hat))
        middle = target - left_out
        out["expected"], out["low"], out["high"] = (
            np.exp(middle),
            np.exp(middle - half),
            np.exp(middle + half),
        )
        few, many = out["engineers"] < out["low"], out["engineers"] > out["high"]
        out["flag"] = np.where(few, "under", np.where(many, "over", "usual"))
    else:
        out["expected"], out["low"], out["high"] = np.exp(np.asarray(fit.fittedvalues)), np.nan, np.nan
        out["flag"] = "too_few_regions"
    if "required" in rows:
        out["required"] = rows["required"]
    out["reason"] = _reasons(out, level, enough)
    coefficients = pd.DataFrame(
        {
            "name": design.columns,
            "estimate": fit.params,
            "standard_error": fit.bse,
            "meaning": [
                "engineers of a region at the mean"
                if name == "constant"
                else "elasticity of engineers"
                if name.startswith("log_")
                else "log engineers per unit"
                for name in design.columns
            ],
        }
    )
    return Benchmark(out, coefficients, _curve(out, seed, bootstraps))


def scale_signs(
    travel_share: FloatArray,
    area_elasticity: FloatArray,
    pooling_elasticity: FloatArray,
    nearest: bool = False,
) -> tuple[FloatArray, NDArray[np.str_]]:
    """Whether machines per engineer rise or fall as a market grows.

    Parameters
    ----------
    travel_share : ndarray, shape (R,)
        Share of an engineer's work that is travel, s.
    area_elasticity : ndarray, shape (R,)
        Growth of the area served per growth of machines, dlog A / dlog N.
    pooling_elasticity : ndarray, shape (R,)
        Growth of utilisation at the same promise, dlog rho / dlog N.
    nearest : bool
        The nearest free engineer is sent, so that distance falls with the root of engineers per area; False:
        every visit starts at a base, so that it grows with the root of the area alone.

    Returns
    -------
    slope : ndarray, shape (R,)
        dlog(machines per engineer) / dlog N = pooling - s x area / 2; nearest first, 1 - (1 + s x area / 2 -
        pooling) / (1 + s / 2).
    sign : ndarray of str, shape (R,)
        "rises", "falls", or "unknown" where a figure is NaN.

    Notes
    -----
    Engineers ~ N (work + c sqrt(area)) / rho: machines per engineer fall where s x area / 2 > pooling;
    nearest first, with sqrt(area / engineers), where area > 1 + 2 pooling / s, so density itself must fall.
    A young market first pools (rises), then spreads (falls), then fills (rises).

    References
    ----------
    .. [1] Kolesar, Blum (1973), Square root laws for fire engine response distances, Management Science 19.
    """
    share = np.asarray(travel_share, float)
    slope = np.asarray(pooling_elasticity, float) - share * np.asarray(area_elasticity, float) / 2.0
    if nearest:
        slope = (slope + share / 2.0) / (1.0 + share / 2.0)
    sign = np.where(slope >= 0, "rises", "falls")
    return slope, np.where(np.isnan(slope), "unknown", sign)


def _design(rows: pd.DataFrame) -> pd.DataFrame:
    """Columns of the regression: as many as the regions can tell apart, machines first."""
    out = pd.DataFrame({"constant": np.ones(len(rows))})
    log_units = np.log(rows["units"].to_numpy(float))
    out["log_units"] = log_units - log_units.mean()
    for column, name in FEATURES.items():
        if column not in rows or rows[column].isna().any() or len(rows) < 8 * (out.shape[1] + 1):
            continue
        values = rows[column].to_numpy(float)
        values = np.log(values) if name.startswith("log_") else values
        if np.ptp(values) > 1e-9:
            out[name] = values - values.mean()
    if "market_stage" in rows:
        stages = pd.get_dummies(rows["market_stage"], drop_first=True, dtype=float)
        if len(rows) >= 8 * (out.shape[1] + stages.shape[1]):
            out = pd.concat([out, stages.rename(columns=lambda stage: f"stage_{stage}")], axis=1)
    return out


def _curve(table: pd.DataFrame, seed: int, bootstraps: int) -> pd.DataFrame:
    from statsmodels.nonparametric.smoothers_lowess import lowess

    x, y = np.log(table["units"].to_numpy(float)), np.log(table["units_per_engineer"].to_numpy(float))
    if len(x) < 4:
        return pd.DataFrame(columns=["units", "units_per_engineer", "low", "high"])
    grid = np.linspace(x.min(), x.max(), 25)
    generator = np.random.default_rng(seed)

    def smooth(at: FloatArray, of: FloatArray) -> FloatArray:
        line = lowess(of, at, frac=2 / 3, it=1)
        line = line[np.isfinite(line[:, 1])]
        return np.interp(grid, line[:, 0], line[:, 1])

    draws = []
    for _ in range(bootstraps):
        pick = generator.integers(len(x), size=len(x))
        if len(np.unique(x[pick])) > 3:
            draws.append(smooth(x[pick], y[pick]))
    band = np.quantile(draws, [0.05, 0.95], axis=0) if draws else np.full((2, len(grid)), np.nan)
    return pd.DataFrame(
        {
            "units": np.exp(grid),
            "units_per_engineer": np.exp(smooth(x, y)),
            "low": np.exp(band[0]),
            "high": np.exp(band[1]),
        }
    )


def _reasons(table: pd.DataFrame, level: float, enough: bool) -> list[str]:
    out = []
    for row in table.to_dict("records"):
        text = f"{row['units']:.0f} machines, {row['engineers']:.0f} engineers; "
        text += f"peers would have {row['expected']:.1f}"
        out.append(
            text
            + (
                f" ({row['low']:.1f} to {row['high']:.1f} in {level:.0%})"
                if enough
                else f"; under {LEAST_REGIONS} regions, so no interval"
            )
        )
    return out


def _check(panel: pd.DataFrame, level: float) -> None:
    problems = [
        Problem("panel", 0, column, "", "is missing", "add the column")
        for column in ("region_id", "units", "engineers")
        if column not in panel
    ]
    if not 0 < level < 1:
        problems.append(
            Problem("benchmark_regions", 0, "level", str(level), "lies between 0 and 1", "give a share")
        )
    if problems:
        raise DataError(problems)
    for row in np.flatnonzero(panel["region_id"].duplicated()):
        problems.append(
            Problem(
                "panel",
                int(row) + 2,
                "region_id",
                str(panel["region_id"].iloc[row]),
                "stands once",
                "drop the double",
            )
        )
    for column in [c for c in NUMBERS if c in panel]:
        values = panel[column].to_numpy(float)
        positive = column in ("units", "engineers", "area_km2")
        for row in np.flatnonzero(~(values > 0 if positive else np.isfinite(values)) | np.isinf(values)):
            problems.append(
                Problem(
                    "panel",
                    int(row) + 2,
                    column,
                    str(panel[column].iloc[row]),
                    "is above 0" if positive else "is a number",
                    "leave the region out, or the column" if not positive else "leave the region out",
                )
            )
    if len(panel) < 3:
        problems.append(
            Problem("panel", 0, "region_id", str(len(panel)), "has at least 3 regions", "add regions")
        )
    if problems:
        raise DataError(problems)
