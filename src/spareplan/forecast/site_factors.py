"""Sites that take more or less than their machines let expect, learned from past forecasts by credibility."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

FloatArray = NDArray[np.float64]
# Pieces that a factor of 1 may be worth, from sites that differ freely to sites alike.
STRENGTHS = 2.0 ** np.arange(0, 13, 2)
# A part's own factor at a site is kept where it moves the site's by more than this.
WORTH_KEEPING = 0.01


class SiteFactors(NamedTuple):
    """Demand at a site over what its machines let expect, within the total of a part.

    Parameters
    ----------
    sites : Mapping of str to float
        site_id to the factor of all its parts.
    pairs : Mapping of str to Mapping
        part_id to site_id to the factor of that part there, where it differs.
    strength, own_strength : float
        Pieces that a factor of 1 is worth to a site, and the site's factor to a part there.
    """

    sites: Mapping[str, float]
    pairs: Mapping[str, Mapping[str, float]]
    strength: float = float("inf")
    own_strength: float = float("inf")

    def of(self, part: str, sites: NDArray[np.str_]) -> FloatArray:
        """Factors of one part at some sites, 1 where nothing is known."""
        return self.of_pairs([part] * len(sites), sites)

    def of_pairs(self, parts: Iterable[str], sites: Iterable[str]) -> FloatArray:
        """Factors of parts at sites, pair by pair."""
        none: dict[str, float] = {}
        return np.array(
            [
                self.pairs.get(part, none).get(site, self.sites.get(site, 1.0))
                for part, site in zip(parts, sites)
            ],
            dtype=float,
        )


SITES_ALIKE = SiteFactors({}, {})


def learn_site_factors(tested: pd.DataFrame, batch: float) -> SiteFactors:
    """Compare what sites took with their share of what their parts took.

    Parameters
    ----------
    tested : DataFrame
        origin, part_id, site_id, mean (forecast), actual. [pieces]
    batch : float
        Pieces that go at one event.

    Returns
    -------
    SiteFactors

    Notes
    -----
    With O events at a site, E of them its share by the forecast of what all sites took, and factors gamma
    with mean 1 and shape s, the factor is (s + O) / (s + E) [1]_; s is the mean under the negative binomial
    likelihood of all sites. The same once more for each part at each site, around the factor of the site.
    Totals of parts are what they are: an error of the level is no difference between sites.

    References
    ----------
    .. [1] Clayton & Kaldor (1987), Empirical Bayes estimates of age-standardized relative risks for use in
       disease mapping, Biometrics 43, 671-681.
    """
    group = [tested["origin"], tested["part_id"]]
    whole, came = (tested[name].groupby(group).transform("sum") for name in ("mean", "actual"))
    several = tested["site_id"].groupby(group).transform("size") > 1
    rows = tested[several & (whole > 0) & (came > 0)]
    if rows.empty:
        return SITES_ALIKE
    share = rows["mean"] / whole[rows.index]
    rows = rows.assign(expected=share * came[rows.index] / batch, events=rows["actual"] / batch)
    of_site = rows.groupby("site_id", sort=True)[["events", "expected"]].sum()
    factor, strength = _factors(*(of_site[name].to_numpy(float) for name in ("events", "expected")))
    sites = dict(zip(of_site.index.astype(str), factor.tolist()))
    pairs = rows.groupby(["part_id", "site_id"], sort=True)[["events", "expected"]].sum().reset_index()
    around = pairs["site_id"].astype(str).map(sites).to_numpy(float)
    own, own_strength = _factors(pairs["events"].to_numpy(float), pairs["expected"].to_numpy(float) * around)
    differs = np.abs(own - 1.0) > WORTH_KEEPING
    kept: dict[str, dict[str, float]] = {}
    for part, site, value in zip(
        pairs["part_id"][differs], pairs["site_id"][differs].astype(str), (own * around)[differs].tolist()
    ):
        kept.setdefault(part, {})[site] = value
    return SiteFactors(sites, kept, strength, own_strength)


def _factors(events: FloatArray, expected: FloatArray) -> tuple[FloatArray, float]:
    """Shrunk ratios of what came to what was expected, and the strength of 1."""
    log = np.array([_likelihood(events, expected, strength) for strength in STRENGTHS])
    chance = np.exp(log - log.max())
    strength = float(np.exp(np.log(STRENGTHS) @ (chance / chance.sum())))
    return (strength + events) / (strength + expected), strength


def _likelihood(events: FloatArray, expected: FloatArray, strength: float) -> float:
    expected = np.maximum(expected, 1e-12)
    return float(
        (
            special.gammaln(strength + events)
            - special.gammaln(strength)
            + strength * np.log(strength / (strength + expected))
            + events * np.log(expected / (strength + expected))
        ).sum()
    )
