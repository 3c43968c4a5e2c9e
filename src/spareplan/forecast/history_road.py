"""History road of the forecast: demand that machines do not explain, by site and part, brought together."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spareplan.forecast.combine import forecast_history
from spareplan.forecast.history_profile import Profile, season_profile, with_traits
from spareplan.forecast.reconcile import (
    WEIGHTS,
    likeliest_weight,
    pieces_per_demand,
    prior_shares,
    reconciled,
    share_strength,
    shared_spread,
    site_shares,
    weight_evidence,
)
from spareplan.forecast.series_life import SERIES_COLUMNS, series_life, series_notes, series_words
from spareplan.maths.units import DAYS_PER_MONTH, days_in_month
from spareplan.tables.supersession import newest_parts
from spareplan.tables.taken import demand_to_learn

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
PAIR = ["part_id", "site_id"]
LONG_SUM = 12
# Sums by which sites and totals are weighed, how many of them, and the record they need before. [months]
TEST_MONTHS, TESTS, LEAST_MONTHS = 3, 2, 12
# What tells kindred parts. [money, days, pieces]
TRAITS = ["unit_cost", "lead_time_days", "pack_size"]
# A month's weight in the shares of sites relative to the next one.
SHARE_MEMORY = 0.97


class HistoryRoad(NamedTuple):
    """Demand from history.

    Parameters
    ----------
    table : DataFrame
        part_id, site_id, month, mean, vmr, rate_cv2, from_history, method.
    windows : DataFrame
        part_id, site_id, days, mean, vmr, rate_cv2, method.
    facts : Series
        By part_id and site_id: what the series looks like, in words.
    notes : list of dict
        Assumption rows.
    series : DataFrame
        What each series is doing, as from `series_life`.
    """

    table: pd.DataFrame
    windows: pd.DataFrame
    facts: pd.Series
    notes: list[dict[str, Any]]
    series: pd.DataFrame


class _Sites(NamedTuple):
    """What is forecast for every part and site: means per month and the pairs of their spread."""

    keys: pd.DataFrame
    part: IntArray
    rate: FloatArray
    site_pair: tuple[FloatArray, FloatArray]
    part_pair: tuple[FloatArray, FloatArray]
    weight: float
    strength: float


def history_demand(
    data: Any,
    as_of: pd.Timestamp,
    horizon: pd.DatetimeIndex,
    days: list[int],
    profile: Profile | None = None,
    weight: float | None = None,
    strength: float | None = None,
) -> HistoryRoad:
    """Forecast every part and site with a demand history.

    Parameters
    ----------
    data : Dataset
        demand, parts; units, fitment tell what share of a part's demand a site may have.
    as_of : Timestamp
    horizon : DatetimeIndex
        Month starts to forecast.
    days : list of int
        Windows. [days]
    profile : callable, optional
        (part_id and site_id, months) to rates over the flat one, shape (pairs, months), 1 on average; None:
        the season that all parts share, if there is one.
    weight : float, optional
        Of the sites' own forecasts against their part's, 0 to 1; None: learned by back-test.
    strength : float, optional
        Demands that the prior share of a site is worth; None: learned from the demand.

    Returns
    -------
    HistoryRoad

    Notes
    -----
    The model gives mean and variance of sums. From the sums of one and of twelve months follow the pair that
    reproduces both: Var/mean = vmr + rate_cv2 x mean. Each site and each part's total is forecast alone; the
    total is shared out among the sites by shares that shrink towards the machines', and both are weighed
    (`reconcile`). So sites add up to one forecast of the part, whose doubt about the rate they share.
    """
    history = demand_to_learn(data, as_of)
    empty = pd.DataFrame(columns=[*PAIR, "mean", "vmr", "rate_cv2", "method"])
    if history.empty:
        nothing = pd.Series(dtype=object, index=pd.MultiIndex.from_arrays([[], []], names=PAIR))
        return HistoryRoad(
            empty.assign(month=pd.Series(dtype="datetime64[ns]")),
            empty.assign(days=0.0),
            nothing,
            [],
            pd.DataFrame(columns=[*PAIR, *SERIES_COLUMNS]),
        )
    history = history.rename(columns={"month": "period"})
    series = series_life(history, PAIR)
    traits = data.parts.reindex(columns=["part_id", *TRAITS])
    sites = _forecast_sites(history, traits, machine_shares(data, as_of), weight, strength)
    profile = season_profile(_totals(history)) if profile is None else profile
    shape = np.ones((len(sites.keys), len(horizon))) if profile is None else profile(sites.keys, horizon)
    months = days_in_month(horizon) / DAYS_PER_MONTH * shape
    begin = (horizon[0] - as_of).days - 1
    ends = np.concatenate([[0.0], begin + np.cumsum(days_in_month(horizon))])
    reached = np.concatenate([np.zeros((len(months), 1)), np.cumsum(months, axis=1)], axis=1)
    flat = np.asarray(days) / DAYS_PER_MONTH
    if profile is None:
        windows = np.broadcast_to(flat, (len(months), len(days)))
    else:
        windows = np.stack([_reach(row, ends, flat, np.asarray(days, float)) for row in reached])
    table = _repeat(sites, "month", horizon, months)
    table["from_history"] = table["mean"]
    return HistoryRoad(
        table,
        _repeat(sites, "days", np.asarray(days, float), windows),
        _facts(history, series, sites.rate),
        [*_notes(history, sites, data), *series_notes(history, series)],
        series,
    )


def _reach(reached: FloatArray, ends: FloatArray, flat: FloatArray, days: FloatArray) -> FloatArray:
    """Months' worth of demand in each window; beyond the horizon every month is alike."""
    beyond = np.maximum(days - ends[-1], 0.0) / DAYS_PER_MONTH
    return np.interp(days, ends, reached) + beyond


def machine_shares(data: Any, as_of: pd.Timestamp) -> pd.DataFrame:
    """Pieces in service by part and site, and machines by site.

    Parameters
    ----------
    data : Dataset
        units, fitment, parts.
    as_of : Timestamp

    Returns
    -------
    DataFrame
        part_id, site_id, pieces; rows with an empty part_id count all machines of the site.
    """
    units = data.units
    units = units[(units["commissioned_on"] <= as_of) & ~(units["retired_on"] <= as_of)]
    here = units.groupby(["product_id", "site_id"]).size().rename("machines").reset_index()
    moved = newest_parts(data.parts)
    fitted = data.fitment.assign(part_id=data.fitment["part_id"].replace(moved))
    fitted = fitted.groupby(["product_id", "part_id"], as_index=False)["quantity"].max().merge(here)
    pieces = (fitted["quantity"] * fitted["machines"]).groupby([fitted["part_id"], fitted["site_id"]]).sum()
    every = here.groupby("site_id")["machines"].sum().rename("pieces").reset_index().assign(part_id="")
    return pd.concat([pieces.rename("pieces").reset_index(), every[[*PAIR, "pieces"]]], ignore_index=True)


def _forecast_sites(
    history: pd.DataFrame,
    traits: pd.DataFrame,
    machines: pd.DataFrame,
    weight: float | None,
    strength: float | None,
) -> _Sites:
    """Forecast sites and totals, and bring them together."""
    keys = history[PAIR].drop_duplicates().sort_values(PAIR, ignore_index=True)
    part = np.unique(keys["part_id"].to_numpy(str), return_inverse=True)[1]
    bottom, site_pair = _rates(history, PAIR, traits)
    top, part_pair = _rates(_totals(history), ["part_id"], traits)
    prior = _prior(keys, part, history, machines)
    alone = np.bincount(part)[part] == 1
    if alone.all():
        # A part at one site is its total; nothing is to be shared.
        return _Sites(keys, part, bottom, site_pair, part_pair, 1.0, float("nan"))
    strength, share = _shares(history, keys, part, prior, strength)
    weight = _weight(history, traits, machines) if weight is None else weight
    rate = np.where(alone, bottom, reconciled(bottom, top, share, part, weight))
    return _Sites(keys, part, rate, site_pair, part_pair, weight, strength)


def _totals(history: pd.DataFrame) -> pd.DataFrame:
    """Demand of each part over all sites; a month counts where any site's is known."""
    return history.groupby(["part_id", "period"])[["quantity"]].sum(min_count=1).reset_index()


def _rates(
    history: pd.DataFrame, key: list[str], traits: pd.DataFrame
) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
    """Mean per month of every key, and the pair (vmr, cv2) of its spread."""
    one, many = (_sums(history, periods, key, traits) for periods in (1, LONG_SUM))
    moments = [frame[name].to_numpy(float) for frame in (one, many) for name in ("mean", "variance")]
    return np.maximum(moments[2] / LONG_SUM, 0.0), _pair(*moments)


def _prior(keys: pd.DataFrame, part: IntArray, history: pd.DataFrame, machines: pd.DataFrame) -> FloatArray:
    """Share of each site by the pieces in service; else by all machines, else by all demand of the site."""
    pieces = machines.set_index(PAIR)["pieces"]
    of_part = pieces.reindex(pd.MultiIndex.from_frame(keys)).fillna(0.0).to_numpy(float)
    of_site = pieces.reindex(pd.MultiIndex.from_frame(keys.assign(part_id=""))).fillna(0.0).to_numpy(float)
    demanded = history.groupby("site_id")["quantity"].sum().clip(lower=0.0)
    of_all = keys["site_id"].map(demanded).to_numpy(float)
    fitted, placed = (np.bincount(part, values)[part] > 0 for values in (of_part, of_site))
    return prior_shares(np.where(fitted, of_part, np.where(placed, of_site, of_all)), part)


def _shares(
    history: pd.DataFrame,
    keys: pd.DataFrame,
    part: IntArray,
    prior: FloatArray,
    strength: float | None = None,
) -> tuple[float, FloatArray]:
    """Pieces that the prior is worth, and the share of each site after what was taken there."""
    last = history["period"].max()
    age = (last.year - history["period"].dt.year) * 12 + last.month - history["period"].dt.month
    pieces = history["quantity"].clip(lower=0.0).fillna(0.0)
    pair = pd.MultiIndex.from_frame(keys)
    by = [history[name] for name in PAIR]
    odd, every = (
        values.groupby(by).sum().reindex(pair).to_numpy(float)
        for values in (pieces.where(age % 2 == 1, 0.0), pieces)
    )
    # Pieces asked for together tell of one demand only.
    weighed = (pieces * SHARE_MEMORY**age).groupby(by).sum().reindex(pair).to_numpy(float)
    taken = weighed / pieces_per_demand(odd, every, part)
    strength = share_strength(taken, prior, part) if strength is None else strength
    return strength, site_shares(taken, prior, part, strength)


def _sums(history: pd.DataFrame, periods: int, key: list[str], traits: pd.DataFrame) -> pd.DataFrame:
    told = with_traits(history[key].drop_duplicates(), traits)
    return forecast_history(history, periods, (0.5,), key, traits=told)


def _weight(history: pd.DataFrame, traits: pd.DataFrame, machines: pd.DataFrame) -> float:
    """Weight of the sites' own forecasts against the part's, by what past forecasts said."""
    last = history["period"].max()
    first = history["period"].min()
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    evidence = np.zeros(len(WEIGHTS))
    for number in range(1, TESTS + 1):
        if months - number * TEST_MONTHS < LEAST_MONTHS:
            break
        origin = last - pd.DateOffset(months=number * TEST_MONTHS)
        past = history[history["period"] <= origin]
        ahead = history[
            (history["period"] > origin) & (history["period"] <= origin + pd.DateOffset(months=TEST_MONTHS))
        ]
        evidence += _one_test(past, ahead, traits, machines, origin)
    return likeliest_weight(evidence)


def _one_test(
    past: pd.DataFrame,
    ahead: pd.DataFrame,
    traits: pd.DataFrame,
    machines: pd.DataFrame,
    origin: pd.Timestamp,
) -> FloatArray:
    """Log likelihood of each weight at one past origin."""
    keys = past[PAIR].drop_duplicates().sort_values(PAIR, ignore_index=True)
    part = np.unique(keys["part_id"].to_numpy(str), return_inverse=True)[1]
    if past["period"].max() < origin:
        # A last month in which nobody asked for anything still ends every series.
        past = pd.concat([past, past.iloc[:1].assign(period=origin, quantity=0.0)], ignore_index=True)
    bottom = _sums(past, TEST_MONTHS, PAIR, traits)
    top = _sums(_totals(past), TEST_MONTHS, ["part_id"], traits)
    share = _shares(past, keys, part, _prior(keys, part, past, machines))[1]
    came = ahead.groupby(PAIR)["quantity"].sum().reindex(pd.MultiIndex.from_frame(keys)).fillna(0.0)
    spreads = [_spread_of_sum(frame) for frame in (bottom, top)]
    several = np.bincount(part)[part] > 1
    if not several.any():
        return np.zeros(len(WEIGHTS))
    number = np.unique(part[several], return_inverse=True)[1]
    kept = np.unique(part[several])
    return weight_evidence(
        np.maximum(came.to_numpy(float)[several], 0.0),
        bottom["mean"].to_numpy(float)[several],
        top["mean"].to_numpy(float)[kept],
        share[several],
        number,
        (spreads[0][0][several], spreads[0][1][several]),
        (spreads[1][0][kept], spreads[1][1][kept]),
    )


def _spread_of_sum(sums: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Spread of one sum as a variance over mean that does not change with the mean."""
    mean, variance = (sums[name].to_numpy(float) for name in ("mean", "variance"))
    vmr = np.divide(variance, mean, out=np.ones_like(mean), where=mean > 0)
    return np.maximum(vmr, 1.0), np.zeros_like(mean)


def _pair(
    mean_1: np.ndarray, variance_1: np.ndarray, mean_n: np.ndarray, variance_n: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find (vmr, cv2) with Var = vmr mean + cv2 mean² at a short and a long window."""
    with np.errstate(divide="ignore", invalid="ignore"):
        short, long = variance_1 / mean_1, variance_n / mean_n
        cv2 = (long - short) / (mean_n - mean_1)
    cv2 = np.where(np.isfinite(cv2), np.maximum(cv2, 0.0), 0.0)
    # Where both cannot be met the long window rules: stock is set on sums.
    vmr = np.where(np.isfinite(long), long - cv2 * mean_n, 1.0)
    return np.maximum(vmr, 0.1), cv2


def _repeat(sites: _Sites, axis: str, values: Any, lengths: FloatArray) -> pd.DataFrame:
    """Write a row per pair and value; the mean grows with the length in months, shape (pairs, values)."""
    size = len(values)
    out = sites.keys.loc[sites.keys.index.repeat(size)].reset_index(drop=True)
    out[axis] = np.tile(np.asarray(values), len(sites.keys))
    mean = sites.rate[:, None] * lengths
    vmr, cv2 = np.empty_like(mean), np.empty_like(mean)
    for column in range(size):
        here = mean[:, column]
        total = np.bincount(sites.part, here)
        own = sites.site_pair[0] * here + sites.site_pair[1] * here**2
        whole = sites.part_pair[0] * total + sites.part_pair[1] * total**2
        vmr[:, column], shared = shared_spread(here, own, sites.part, whole, sites.part_pair[1])
        cv2[:, column] = shared[sites.part]
    out["mean"], out["vmr"], out["rate_cv2"] = mean.ravel(), vmr.ravel(), cv2.ravel()
    out["method"] = "history"
    return out


def _notes(history: pd.DataFrame, sites: _Sites, data: Any) -> list[dict[str, Any]]:
    last = history["period"].max()
    rows: list[tuple[str, Any, str, str, str]] = [
        (
            "series forecast from history",
            len(sites.keys),
            "part x site",
            "data: demand",
            "one compound model pooled over all series; months without a row had no demand",
        ),
        (
            "history ends",
            f"{last:%Y-%m}",
            "",
            "data: demand",
            "latest month with demand; it ends every series",
        ),
    ]
    if np.isfinite(sites.strength):
        lent = "pieces in service" if len(data.units) else "the demand of all parts"
        rows += [
            (
                "weight of sites' own histories against their part's",
                round(sites.weight, 2),
                "",
                "estimated by back-test",
                "what is left shares out the forecast of the part's total; sites add up to one total",
            ),
            (
                "demands that a site's prior share is worth",
                round(sites.strength, 1),
                "demands",
                "estimated from demand",
                f"shares of sites with few demands are borrowed from {lent} there",
            ),
        ]
    names = ("name", "value", "unit", "origin", "meaning")
    return [{"stage": "forecast", **dict(zip(names, row))} for row in rows]


def _facts(history: pd.DataFrame, series: pd.DataFrame, rate: np.ndarray) -> pd.Series:
    left_out = history.groupby(PAIR, sort=True)["one_off"].sum().to_numpy()
    length = (series["periods"] + series["unknown"]).to_numpy()
    text = [
        f"{pieces:g} pieces in {months:d} months of history{more}, {now:.2f} a month expected now"
        for pieces, months, more, now in zip(series["pieces"], length, series_words(series, left_out), rate)
    ]
    return pd.Series(text, index=pd.MultiIndex.from_frame(series[PAIR]))
