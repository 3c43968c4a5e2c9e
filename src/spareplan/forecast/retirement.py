"""How long machines stay in the field: retirements in, a law of machine life per product out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import gamma, ndtri

from spareplan.errors import DataError, Problem
from spareplan.forecast.machine_life import LAWS, LifeSums, laws_of, posterior_lives
from spareplan.forecast.notes import note
from spareplan.maths.units import DAYS_PER_YEAR

FloatArray = NDArray[np.float64]
# Where nothing was ever retired: machines wear out rather than fail by chance.
ASSUMED_SHAPE = 3.0
ASSUMED_SPREAD = 0.25
# Records are taken to start late where this many retirements should have been seen before the first one.
SILENT_RETIREMENTS = 4.6


@dataclass(frozen=True)
class RetirementLaw:
    """Machine life of every product.

    Parameters
    ----------
    table : DataFrame
        product_id, shape, scale [days], log_scale_sd, mean_life_years, retired, machines, origin; a row per
        product, sorted.
    shape, scale : ndarray, shape (products, laws)
        Weibull laws, equally likely, from the shortest to the longest life: what is in doubt. [-, days]
    records_from : Timestamp or NaT
        Retirements before this day are not known; NaT: all are.
    notes : list of dict
        Assumption rows.
    """

    table: pd.DataFrame
    shape: FloatArray
    scale: FloatArray
    records_from: Any
    notes: list[dict[str, Any]]

    @property
    def usual(self) -> int:
        """Row of the product with most machines."""
        return int(self.table["machines"].to_numpy(float).argmax())

    @property
    def usual_years(self) -> float:
        """Mean life of that product's machines [years]."""
        return float(self.table["mean_life_years"].iloc[self.usual])

    def survival(self, product_ids: ArrayLike, age_now_days: ArrayLike, ahead_days: ArrayLike) -> FloatArray:
        """Chance that machines alive now are still in service later.

        Parameters
        ----------
        product_ids : array-like of str, shape (n,)
        age_now_days : array-like, shape (n,)
            Age today. [days]
        ahead_days : array-like, broadcast against (n,)
            For many horizons at once give shape (t,) and arrays of shape (n, 1). [days]

        Returns
        -------
        ndarray, broadcast shape
            Share in service, given service today; the doubt about the law is averaged over.

        Raises
        ------
        DataError
            A product without a law.
        """
        weight, each = self.scenarios(product_ids, age_now_days, ahead_days)
        return np.tensordot(weight, each, axes=1)

    def scenarios(
        self, product_ids: ArrayLike, age_now_days: ArrayLike, ahead_days: ArrayLike
    ) -> tuple[FloatArray, FloatArray]:
        """Survival under laws as far apart as the doubt about them.

        Parameters
        ----------
        product_ids, age_now_days, ahead_days
            As in `survival`.

        Returns
        -------
        weight : ndarray, shape (laws,)
        survival : ndarray, shape (laws, ...)
            `survival` is its weighted mean. Machines of one product share the law.
        """
        wanted = np.asarray(product_ids, dtype=object)
        at = pd.Index(self.table["product_id"]).get_indexer(pd.Index(wanted.ravel()))
        if (at < 0).any():
            raise DataError(
                [
                    Problem("products", None, "product_id", str(name), "has no machine life", "add it")
                    for name in pd.unique(wanted.ravel()[at < 0])
                ]
            )
        age, ahead = np.asarray(age_now_days, float), np.asarray(ahead_days, float)
        each = [
            conditional_survival(
                self.shape[at, law].reshape(wanted.shape),
                self.scale[at, law].reshape(wanted.shape),
                age,
                ahead,
            )
            for law in range(self.shape.shape[1])
        ]
        return np.full(len(each), 1 / len(each)), np.stack(each)


def conditional_survival(shape: ArrayLike, scale: ArrayLike, age: ArrayLike, ahead: ArrayLike) -> FloatArray:
    """Chance to live `ahead` longer at `age`, for a Weibull life.

    Parameters
    ----------
    shape, scale, age, ahead : array-like, broadcast together
        [-, and one unit of time]

    Returns
    -------
    ndarray
        S(age + ahead) / S(age) = exp((age / scale)^shape - ((age + ahead) / scale)^shape).
    """
    b, eta = np.asarray(shape, float), np.asarray(scale, float)
    start, end = np.asarray(age, float) / eta, (np.asarray(age, float) + np.asarray(ahead, float)) / eta
    return np.exp(np.minimum(start**b - end**b, 0.0))


def learn_retirement(
    units: pd.DataFrame, products: pd.DataFrame, as_of: pd.Timestamp, machine_life_years: float = 10.0
) -> RetirementLaw:
    """Machine life per product, from the machines that were retired and those that were not.

    Parameters
    ----------
    units : DataFrame
        unit_id, product_id, commissioned_on, retired_on (empty while in service).
    products : DataFrame
        product_id; all of them get a law. Optional: like_product, whose law a product without machines takes.
    as_of : Timestamp
        Last day that was known; later retirements are not looked at.
    machine_life_years : float
        Mean life where no machine of any product was ever retired; else a weak prior. [years]

    Returns
    -------
    RetirementLaw

    Raises
    ------
    DataError
        A machine is retired before it is commissioned.

    Notes
    -----
    Weibull lives by Bayes over the products (`machine_life`): one without retirements leans on the others.
    A list of machines often lost those scrapped long ago. Whether retirements were recorded from the first
    machine on is asked of the data: under the law fitted to the time since the first retirement, were more
    than SILENT_RETIREMENTS expected before it (none was seen: under 1 % chance), the records begin there,
    and every machine is watched only from its age at that day (left truncation [1]_).

    References
    ----------
    .. [1] Klein & Moeschberger (2003), Survival Analysis, sec. 3.4.
    """
    tomorrow = pd.Timestamp(as_of) + pd.Timedelta(days=1)
    known = units[units["commissioned_on"] <= as_of]
    gone = (known["retired_on"] <= as_of).to_numpy(bool)
    born, end = _days(known["commissioned_on"]), _days(known["retired_on"].where(gone, tomorrow))
    _refuse_early_ends(known, born, end)
    product = known["product_id"].to_numpy(object)
    every = np.unique(np.concatenate([products["product_id"].to_numpy(object), product]).astype(str))
    if not len(every):
        every = np.array([""])  # no product is known: one law for all machines
    machines = pd.Series(1.0, index=product).groupby(level=0).sum().reindex(every).fillna(0.0).to_numpy(float)
    retired = pd.Series(gone.astype(float), index=product).groupby(level=0).sum().reindex(every).fillna(0.0)
    if not gone.any():
        return _assumed(every, machines, machine_life_years)
    first = known.loc[gone, "retired_on"].min().to_period("M").to_timestamp()
    begin = float(_days(pd.Series([first]))[0])
    fit = _fit(every, product, np.maximum(begin - born, 0.0), end - born, gone, machine_life_years)
    number = pd.Index(every).get_indexer(pd.Index(product))
    watched = np.maximum(np.minimum(end, begin) - born, 0.0)[:, None]
    silent = float(((watched / fit[1][number]) ** fit[0][number]).mean(axis=1).sum())
    late = silent > SILENT_RETIREMENTS
    if not late:
        fit = _fit(every, product, np.zeros(len(born)), end - born, gone, machine_life_years)
    shape, scale, kin = _with_analogues(*fit, every, machines > 0, products)
    origin = np.where(kin, "data: products.like_product", "other products")
    table = _table(every, shape, scale).assign(
        retired=retired.to_numpy(),
        machines=machines,
        origin=np.where(retired > 0, "estimated from units.retired_on", origin),
    )
    notes = _notes(table, first, late, silent, int(gone.sum()))
    return RetirementLaw(table, shape, scale, first if late else pd.NaT, notes)


def expected_retirements(
    units: pd.DataFrame, law: RetirementLaw, as_of: pd.Timestamp, months: pd.DatetimeIndex
) -> pd.DataFrame:
    """Machines expected to leave in each month, by site and product: for a sales plan that says nothing.

    Parameters
    ----------
    units : DataFrame
        unit_id, product_id, site_id, commissioned_on, retired_on.
    law : RetirementLaw
    as_of : Timestamp
        Last day that was known.
    months : DatetimeIndex
        Month starts, rising.

    Returns
    -------
    DataFrame
        product_id, site_id, month, units_retired (expected, not whole), sorted. Machines whose retired_on is
        given are left out: their day is known.
    """
    alive = units[(units["commissioned_on"] <= as_of) & units["retired_on"].isna()]
    edges = pd.Series(months.append(pd.DatetimeIndex([months[-1] + pd.offsets.MonthBegin(1)])))
    begin = pd.Timestamp(as_of) + pd.Timedelta(days=1)
    ahead = np.maximum(_days(edges) - _days(pd.Series([begin])), 0.0)
    # Machines of one product and month of sale share their age: cost follows the months, not the machines.
    cohort = alive.assign(sold=alive["commissioned_on"].dt.to_period("M").dt.to_timestamp())
    sizes = cohort.groupby(["product_id", "site_id", "sold"], sort=True).size()
    groups = sizes.rename("machines").reset_index()
    age = np.maximum((begin - groups["sold"]).dt.days.to_numpy(float) - 15.0, 0.0)
    share = law.survival(groups["product_id"].to_numpy(object)[:, None], age[:, None], ahead)
    leaving = -np.diff(share, axis=1) * groups["machines"].to_numpy(float)[:, None]
    keys = ["product_id", "site_id"]
    out = groups.loc[np.repeat(np.arange(len(groups)), len(months)), keys]
    out = out.assign(month=np.tile(months.to_numpy(), len(groups)), units_retired=leaving.ravel())
    return out.groupby([*keys, "month"], sort=True)[["units_retired"]].sum().reset_index()


def plan_retirements(
    data: Any, law: RetirementLaw, as_of: pd.Timestamp, months: pd.DatetimeIndex
) -> pd.DataFrame:
    """Sales plan with expected retirements where it says nothing of them.

    Parameters
    ----------
    data : Dataset
        units, sales_plan.
    law : RetirementLaw
    as_of : Timestamp
        Last day that was known.
    months : DatetimeIndex
        Month starts ahead, rising.

    Returns
    -------
    DataFrame
        sales_plan; for products of which it retires none after `as_of` with the expected ones, by month.
    """
    plan = data.sales_plan
    ahead = plan[(plan["month"] > as_of) & (plan["units_retired"].fillna(0) > 0)]
    told = expected_retirements(data.units, law, as_of, months)
    told = told[~told["product_id"].isin(ahead["product_id"]) & (told["units_retired"] > 0)]
    keys = ["product_id", "site_id", "month"]
    both = plan.merge(told.rename(columns={"units_retired": "expected"}), on=keys, how="outer")
    both["units_retired"] = both["expected"].where(both["expected"].notna(), both["units_retired"])
    both["units_sold"] = both["units_sold"].fillna(0.0)
    return both[plan.columns].astype(dict(plan.dtypes)).sort_values(keys, ignore_index=True)


def _days(dates: pd.Series) -> FloatArray:
    return np.asarray((pd.to_datetime(dates) - pd.Timestamp("1970-01-01")).dt.days, dtype=np.float64)


def _refuse_early_ends(units: pd.DataFrame, born: FloatArray, end: FloatArray) -> None:
    wrong = np.flatnonzero(end < born)
    if not len(wrong):
        return
    raise DataError(
        [
            Problem(
                "units",
                int(row) + 2,
                "retired_on",
                f"{units['retired_on'].iloc[row]:%Y-%m-%d}",
                f"lies before the machine was commissioned on {units['commissioned_on'].iloc[row]:%Y-%m-%d}",
                "correct one of the two dates",
            )
            for row in wrong
        ]
    )


def _fit(
    every: np.ndarray,
    product: np.ndarray,
    entry: FloatArray,
    exit_: FloatArray,
    failed: NDArray[np.bool_],
    years: float,
) -> tuple[FloatArray, FloatArray]:
    """Laws of all products: shapes and scales, (products, laws)."""
    seen = exit_ > entry
    # Machines of one product with the same ages are one row with their number.
    rows = pd.DataFrame(
        {"product": product[seen], "entry": entry[seen], "exit": exit_[seen], "failed": failed[seen]}
    )
    rows = rows.groupby(list(rows.columns), sort=True).size().rename("count").reset_index()
    number = pd.Index(every).get_indexer(pd.Index(rows["product"]))
    start, end, gone, count = (rows[name].to_numpy(float) for name in ("entry", "exit", "failed", "count"))
    sums = LifeSums.of(number, start, end, gone, count, len(every))
    return laws_of(posterior_lives(sums, years * DAYS_PER_YEAR))


def _with_analogues(
    shape: FloatArray, scale: FloatArray, every: np.ndarray, own: NDArray[np.bool_], products: pd.DataFrame
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Give products without machines the laws of the one they are like."""
    like = dict(zip(products["product_id"], products["like_product"])) if "like_product" in products else {}
    row = {name: at for at, name in enumerate(every)}
    source = np.arange(len(every))
    for at in np.flatnonzero(~own):
        seen, here = set(), every[at]
        while here in like and here not in seen and not own[row.get(here, at)]:
            seen.add(here)
            here = like[here]
        source[at] = row.get(here, at) if own[row.get(here, at)] else at
    return shape[source], scale[source], source != np.arange(len(every))


def _table(every: np.ndarray, shape: FloatArray, scale: FloatArray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "product_id": every,
            "shape": np.exp(np.log(shape).mean(axis=1)),
            "scale": np.exp(np.log(scale).mean(axis=1)),
            "log_scale_sd": np.log(scale).std(axis=1),
            "mean_life_years": (scale * gamma(1 + 1 / shape)).mean(axis=1) / DAYS_PER_YEAR,
        }
    )


def _assumed(every: np.ndarray, machines: np.ndarray, years: float) -> RetirementLaw:
    spread = np.exp(ASSUMED_SPREAD * ndtri((np.arange(LAWS) + 0.5) / LAWS))
    life = years * DAYS_PER_YEAR / float(gamma(1 + 1 / ASSUMED_SHAPE)) * spread / spread.mean()
    scale = np.tile(life, (len(every), 1))
    shape = np.full(scale.shape, ASSUMED_SHAPE)
    table = _table(every, shape, scale).assign(retired=0.0, machines=machines, origin="assumed")
    said = note(
        "machine life",
        years,
        "years",
        "assumed: forecast.machine_life_years",
        f"no machine was ever retired: Weibull lives of shape {ASSUMED_SHAPE:g}, doubt {ASSUMED_SPREAD:.0%}",
    )
    return RetirementLaw(table, shape, scale, pd.NaT, [said])


def _notes(
    table: pd.DataFrame, first: pd.Timestamp, late: bool, silent: float, gone: int
) -> list[dict[str, Any]]:
    lives = table["mean_life_years"]
    rows = [
        note(
            "machine life",
            f"{lives.min():.1f} to {lives.max():.1f}" if len(table) > 1 else f"{lives.iloc[0]:.1f}",
            "years",
            "estimated from units.retired_on",
            f"means of {len(table)} products from {gone} retirements, pooled across products",
        )
    ]
    if late:
        rows.append(
            note(
                "retirements are recorded from",
                f"{first:%Y-%m-%d}",
                "",
                "estimated from units.retired_on",
                f"{silent:.0f} would have been expected before: machines count from their age at that day",
            )
        )
    return rows
