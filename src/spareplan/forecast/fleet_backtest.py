"""DOOR: back-test of the forecast from machines: past origins, beside two naive forecasts, losers shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spareplan.config import ForecastOptions, option_rows
from spareplan.errors import problem_in_argument
from spareplan.forecast.base_road import BaseRoad, installed_base_demand
from spareplan.forecast.blend import NO_BLEND, Blend
from spareplan.forecast.fleet_scores import FORECASTS, score_fleet, verdicts
from spareplan.forecast.known import known_at
from spareplan.maths.distributions import quantile
from spareplan.results import Result, assumptions_frame
from spareplan.tables.supersession import newest_parts

BANDS = {"80": (0.1, 0.9), "95": (0.025, 0.975)}
# Failures seen before the origin that part the classes.
CLASSES = {"0 failures": 0, "1-2 failures": 1, "3-5 failures": 3, "6 and more failures": 6}
DEFAULT_DAYS, DEFAULT_ORIGINS = 91, 4


@dataclass(frozen=True, repr=False)
class FleetBacktest(Result):
    """How the forecast from machines did on days it had not seen.

    Parameters
    ----------
    table : DataFrame
        origin, part_id[, site_id], part_class, days, actual, and the forecasts: published, ages (lives and
        ages alone), mean_rate (failures per piece and use, whatever the age), own_record (what was
        taken of the part so far), once (ages, each piece counted
        once; NaN for parts with planned replacements, which it does not know), with `<forecast>_variance`;
        low_80, high_80, low_95, high_95 of the published one; weight of the ages and weight_record of the
        own record in it; actual_failures, failures, failures_ages, failures_rate, failures_record and
        failures_once without planned replacements. [pieces]
    seed : int
        Of the randomised places of counts in their distributions, and of the bootstrap.
    """

    seed: int = 0

    def scores(self, by: str | None = None, what: str = "pieces") -> pd.DataFrame:
        """Error, bias, coverage and likelihood of every forecast.

        Parameters
        ----------
        by : {None, "part_class", "part_id", "origin", "site_id"}
            Group; None: all rows together.
        what : {"pieces", "failures"}
            All that is taken from the shelf, or failures alone (errors only, no bands).

        Returns
        -------
        DataFrame
            [by], forecast, cells, actual, expected, wape (absolute errors over what happened), bias
            (expected over what happened, less 1), c80 and c95 (share of cells in the band, counts placed at
            random within their step), log_score (mean log probability), to_rate (wape less that of the mean
            rate), noise (its standard error, bootstrap over cells), won (least wape).

        Raises
        ------
        DataError
            An unknown group.
        """
        if by is not None and by not in self.table.columns:
            raise problem_in_argument("scores", "by", by, "is no column of the back-test", "use part_class")
        return score_fleet(self.table, by, what, self.seed)


def backtest_fleet(
    data: Any,
    origins: int | Iterable[Any] = DEFAULT_ORIGINS,
    days: int = DEFAULT_DAYS,
    options: ForecastOptions | None = None,
    by_site: bool = False,
    seed: int = 0,
    until: Any = None,
) -> FleetBacktest:
    """Forecast machines' demand from past origins and compare with what came.

    Parameters
    ----------
    data : Dataset
        Machines, fitment, replacements.
    origins : int or iterable of date
        How many, `days` apart and the last one `days` before the end of the records; or the last known days
        themselves.
    days : int
        Length of the tested sums. [days]
    options : ForecastOptions, optional
    by_site : bool
        A row per part and site instead of per part.
    seed : int
    until : date, optional
        Last day whose replacements are all in the records; None: `data.as_of()`, less the time in which
        98 % of the reports come in.

    Returns
    -------
    FleetBacktest

    Raises
    ------
    DataError
        No machines; an origin that leaves no record before or after it; numbers out of range.

    Notes
    -----
    At each origin the dataset is cut to what was known then: no later replacement, none that was reported
    later, no later retirement, reading or use, no sales plan. What came is counted on machines that were in
    service at the origin. The weights of the published forecast are learned before the origin, too.
    """
    options = options or ForecastOptions()
    if not isinstance(days, (int, np.integer)) or isinstance(days, bool) or not 1 <= days <= 3660:
        raise problem_in_argument(
            "backtest_fleet", "days", days, "is no whole number from 1 to 3660", "give one"
        )
    cuts = _origins(data, origins, int(days), until)
    pieces = [_one_origin(data, origin, int(days), options, by_site) for origin in cuts]
    keys = ["origin", "part_id", "site_id"] if by_site else ["origin", "part_id"]
    table = pd.concat(pieces, ignore_index=True).sort_values(keys, kind="stable", ignore_index=True)
    whole = score_fleet(table, None, "pieces", seed)
    classes = score_fleet(table, "part_class", "pieces", seed)
    return FleetBacktest(
        table, _assumptions(options, cuts, days, seed), verdicts(table, whole, classes), seed
    )


def _origins(data: Any, origins: int | Iterable[Any], days: int, until: Any) -> list[pd.Timestamp]:
    rows = data.replacements
    if not len(data.units) or not len(rows):
        raise problem_in_argument(
            "backtest_fleet", "data", data.source, "has no machines with replacements", "give both tables"
        )
    end = data.as_of(until)
    if until is None:
        # What happened lately is not reported yet: tests end where the reports are as good as complete.
        delay = float(np.nan_to_num((rows["reported_on"] - rows["replaced_on"]).dt.days.quantile(0.98)))
        end = end - pd.Timedelta(days=int(delay))
    if isinstance(origins, (int, np.integer)) and not isinstance(origins, bool):
        if origins < 1:
            raise problem_in_argument("backtest_fleet", "origins", origins, "is under 1", "test at least one")
        cuts = [end - pd.Timedelta(days=days * back) for back in range(int(origins), 0, -1)]
        cuts = [cut for cut in cuts if (rows["replaced_on"] <= cut).any()]
    else:
        cuts = sorted({pd.Timestamp(value).normalize() for value in origins})  # type: ignore[union-attr]
    early = [cut for cut in cuts if not (rows["replaced_on"] <= cut).any()]
    late = [cut for cut in cuts if cut + pd.Timedelta(days=days) > end]
    for bad, rule in ((early, "lies before all replacements"), (late, "leaves too few days after it")):
        if bad:
            raise problem_in_argument(
                "backtest_fleet", "origins", f"{bad[0]:%Y-%m-%d}", rule, f"records end {end:%Y-%m-%d}"
            )
    if not cuts:
        raise problem_in_argument(
            "backtest_fleet", "days", days, "leaves no record before the first origin", "test shorter sums"
        )
    return cuts


def _one_origin(
    data: Any, origin: pd.Timestamp, days: int, options: ForecastOptions, by_site: bool
) -> pd.DataFrame:
    """Every forecast of one origin beside what came."""
    then = known_at(data, origin)
    last = origin + pd.Timedelta(days=days)
    start = (origin + pd.Timedelta(days=1)).to_period("M").to_timestamp()
    horizon = pd.date_range(start, last, freq="MS")
    published = installed_base_demand(then, origin, horizon, [days], options)
    if published.windows.empty:
        return pd.DataFrame()
    parts = published.lifetimes["part_id"]
    alone, flat, recorded = (
        installed_base_demand(
            then,
            origin,
            horizon,
            [days],
            options,
            NO_BLEND._replace(weight=dict.fromkeys(parts, ages), default_record=record),
        )
        for ages, record in ((1.0, 0.0), (0.0, 0.0), (0.0, 1.0))
    )
    roads = {"published": published, "ages": alone, "mean_rate": flat, "own_record": recorded}
    keys = ["part_id", "site_id"] if by_site else ["part_id"]
    out: pd.DataFrame | None = None
    for name, road in roads.items():
        sums = _sums(road, keys, name)
        out = sums if out is None else out.join(sums, how="outer")
    assert out is not None
    _add_once(out, alone.windows, keys)
    came = happened(data, then, origin, last, keys)
    out = out.join(came.reindex(out.index).fillna(0.0))
    failed = alone.lifetimes.set_index("part_id")["n_failed"]
    part = out.index.get_level_values("part_id")
    seen = failed.reindex(part).fillna(0).to_numpy(float)
    number = np.searchsorted(list(CLASSES.values()), np.round(seen), side="right") - 1
    out["part_class"] = np.array(list(CLASSES), dtype=object)[number]
    weights = published.weights.set_index("part_id").reindex(part)
    out["weight"], out["weight_record"] = weights["ages"].to_numpy(), weights["own_record"].to_numpy()
    for band, (low, high) in BANDS.items():
        for side, level in (("low", low), ("high", high)):
            out[f"{side}_{band}"] = quantile(
                np.full(len(out), level), out["published"].to_numpy(), out["published_variance"].to_numpy()
            )
    return out.reset_index().assign(origin=origin, days=days)[_columns(keys)]


def _add_once(out: pd.DataFrame, windows: pd.DataFrame, keys: list[str]) -> None:
    """Add the forecast that counts each piece once; it knows failures only, not planned replacements."""
    once = windows.get("by_once", pd.Series(np.nan, index=windows.index))
    failing = once.groupby([windows[key] for key in keys]).sum(min_count=1).reindex(out.index)
    out["failures_once"] = failing
    unplanned = out["failures_ages"] > 0.999 * out["ages"]
    out["once"] = failing.where(unplanned)
    mean = out["ages"].where(out["ages"] > 0)
    shared = (out["ages_variance"] / mean**2 - 1 / mean).clip(lower=0).fillna(0.0)
    out["once_variance"] = out["once"] + shared * out["once"] ** 2


def _columns(keys: list[str]) -> list[str]:
    means = [column for name in FORECASTS for column in (name, f"{name}_variance")]
    bands = [f"{side}_{band}" for band in BANDS for side in ("low", "high")]
    names = ("", "_ages", "_rate", "_record", "_once")
    failures = ["actual_failures", *(f"failures{name}" for name in names)]
    weights = ["weight", "weight_record"]
    return ["origin", *keys, "part_class", "days", "actual", *means, *bands, *weights, *failures]


def _sums(road: BaseRoad, keys: list[str], name: str) -> pd.DataFrame:
    """Mean and variance per key, and the share of it that fails."""
    windows = road.windows
    by = [windows[key] for key in keys]
    mean = windows["mean"]
    # Within a part the rate's error is shared by its sites: standard deviations add.
    total = mean.groupby(by).sum()
    random = (windows["vmr"] * mean).groupby(by).sum()
    shared = (np.sqrt(windows["rate_cv2"]) * mean).groupby(by).sum()
    out = pd.DataFrame({name: total, f"{name}_variance": random + shared**2})
    table = road.table
    split = table.groupby([table[key] for key in keys])[["from_installed_base", "from_planned"]].sum()
    share = (split["from_installed_base"] / split.sum(axis=1).where(split.sum(axis=1) > 0)).fillna(1.0)
    label = {"published": "failures", "ages": "failures_ages", "mean_rate": "failures_rate"}.get(
        name, "failures_record"
    )
    out[label] = total * share.reindex(total.index).fillna(1.0)
    return out


def happened(data: Any, then: Any, origin: pd.Timestamp, last: pd.Timestamp, keys: list[str]) -> pd.DataFrame:
    """Pieces replaced after an origin on the machines that were in service then.

    Parameters
    ----------
    data, then : Dataset
        All that is known now, and what was known at the origin.
    origin, last : Timestamp
        Last known day, last tested day.
    keys : list of str
        part_id, or part_id and site_id.

    Returns
    -------
    DataFrame
        By key: actual, actual_failures. [pieces]
    """
    site = then.units.set_index("unit_id")["site_id"]
    rows = data.replacements
    rows = rows[(rows["replaced_on"] > origin) & (rows["replaced_on"] < last + pd.Timedelta(days=1))]
    rows = rows[rows["unit_id"].isin(site.index)]
    rows = rows.assign(
        part_id=rows["part_id"].replace(newest_parts(data.parts)),
        site_id=rows["unit_id"].map(site),
        actual=rows["quantity"].astype(float),
        actual_failures=rows["quantity"].where(~rows["planned"], 0).astype(float),
    )
    return rows.groupby(keys)[["actual", "actual_failures"]].sum()


def _assumptions(options: ForecastOptions, cuts: list[pd.Timestamp], days: int, seed: int) -> pd.DataFrame:
    said = ", ".join(f"{cut:%Y-%m-%d}" for cut in cuts)
    rows = [
        ("days", days, "days", "set by the user", "length of the sums that were tested"),
        (
            "origins",
            said,
            "",
            "data: replacements",
            "last known days",
        ),
        ("seed", seed, "", "argument", "of places within the steps of counts, and of the bootstrap"),
    ]
    names = ("name", "value", "unit", "origin", "meaning")
    return assumptions_frame(
        [*option_rows("forecast", options), *({"stage": "backtest", **dict(zip(names, row))} for row in rows)]
    )


__all__ = ["Blend", "FleetBacktest", "backtest_fleet", "happened"]
