"""Score the history forecast on real panels beside what anybody could do, in one run.

    SPAREPLAN_TEST_DATA=.../data python benchmarks/bench_history.py [carparts oil man] [--subsets] [--growth]

Sums of three periods at four origins per panel, figures by the independent scorer that lies beside the data.
`--subsets` scores random subsets of 30 to 1,000 parts, `--growth` times 3,000 to 300,000 series.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

from spareplan.forecast import forecast_history, intermittent, pooling
from spareplan.maths import distributions

LEVELS = np.array([0.5, 0.8, 0.9, 0.95, 0.99])
COLUMNS = [f"q{level:g}" for level in LEVELS]
LEAD = 3
PANELS = ("carparts", "oil", "man")
Method = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def load_scorer() -> ModuleType:
    folder = os.environ.get("SPAREPLAN_TEST_DATA")
    if not folder:
        print("left out: set SPAREPLAN_TEST_DATA to the folder with the panels")
        sys.exit(0)
    path = Path(folder) / ".." / "checks" / "score_forecast.py"
    spec = importlib.util.spec_from_file_location("score_forecast", path)
    assert spec and spec.loader
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    return scorer


def long_table(demand: np.ndarray) -> pd.DataFrame:
    n, c = demand.shape
    ids = np.array([f"{i:07d}" for i in range(n)])
    return pd.DataFrame(
        {"part_id": np.repeat(ids, c), "period": np.tile(np.arange(c), n), "quantity": demand.ravel()}
    )


def spareplan(rounded: bool) -> Method:
    def forecast(demand: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        out = forecast_history(long_table(demand), LEAD, tuple(LEVELS), rounded=rounded)
        return out["mean"].to_numpy(), out[COLUMNS].to_numpy()

    return forecast


def empirical_bayes(discount: float) -> Method:
    def forecast(demand: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rates = pooling.pool_rates(demand, discount)
        return pooling.sum_moments(rates, LEAD)[0], pooling.sum_quantiles(rates, LEAD, LEVELS)

    return forecast


def with_own_variance(method: Callable[[np.ndarray], np.ndarray]) -> Method:
    def forecast(demand: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = LEAD * method(demand)
        variance = np.maximum(LEAD * demand.var(axis=1, ddof=1), mean)
        return mean, distributions.quantile(LEVELS, mean[:, None], variance[:, None])

    return forecast


def bootstrap(demand: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, demand.shape[1], (400, LEAD))
    sums = sum(demand[:, drawn[:, step]] for step in range(LEAD))
    return sums.mean(axis=1), np.quantile(sums, LEVELS, axis=1, method="inverted_cdf").T


def nothing(demand: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(len(demand)), np.zeros((len(demand), len(LEVELS)))


METHODS: dict[str, Method] = {
    "spareplan": spareplan(True),
    "spareplan unrounded": spareplan(False),
    "empirical Bayes .95": empirical_bayes(0.95),
    "empirical Bayes .98": empirical_bayes(0.98),
    "TSB + NB": with_own_variance(intermittent.tsb),
    "IMAPA + NB": with_own_variance(intermittent.imapa),
    "SBA + NB": with_own_variance(intermittent.sba),
    "mean + NB": with_own_variance(intermittent.mean_demand),
    "iid bootstrap": bootstrap,
    "zero": nothing,
}


def losses(came: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Twice the pinball loss per part, mean over the levels."""
    off = came[:, None] - quantiles
    return (2 * np.maximum(LEVELS * off, (LEVELS - 1) * off)).mean(axis=1)


def score_panel(scorer: ModuleType, name: str) -> None:
    ids, demand = scorer.load_panel(name)
    actual = scorer.actual_ltd(name)
    print(f"\n{name}: {len(ids):,} parts, origins {scorer.PROTOCOL[name]['cutoffs']}")
    print(
        f"{'':22}   wql    bias  calerr .5   .8   .9  .95  .99  stock.95 fill.95  CPU s  to spareplan (95 %)"
    )
    base, came = None, actual.groupby("unique_id", sort=False)["y"].sum().to_numpy()
    for label, method in METHODS.items():
        start, frames, by_part = time.process_time(), [], np.zeros(len(ids))
        for cut in scorer.PROTOCOL[name]["cutoffs"]:
            mean, quantiles = method(demand[:, :cut])
            frame = pd.DataFrame(quantiles, columns=COLUMNS).assign(
                unique_id=ids, cutoff=cut, step=LEAD, mean=mean
            )
            frames.append(frame)
            by_part += losses(demand[:, cut : cut + LEAD].sum(axis=1), quantiles)
        seconds = time.process_time() - start
        figures, _ = scorer.score(pd.concat(frames), actual)
        base = by_part if base is None else base
        low, high = paired_interval(by_part, base)
        calibration = " ".join(f"{figures[f'calerr_{level:g}']:.3f}" for level in LEVELS)
        line = f"{label:22} {figures['wql_ops']:.4f} {figures['bias']:+.3f}  {calibration}"
        line += f"   {figures['stock_0.95']:5.2f}   {figures['fill_0.95']:.3f}  {seconds:5.1f}"
        print(f"{line}  {low:+.1%} .. {high:+.1%}", flush=True)
    assert np.isclose(came.sum(), actual["y"].sum())


def paired_interval(loss: np.ndarray, base: np.ndarray, draws: int = 1000) -> tuple[float, float]:
    """Interval of loss / base - 1 when parts are drawn anew."""
    weights = np.random.default_rng(0).multinomial(len(loss), np.full(len(loss), 1 / len(loss)), draws)
    ratio = weights @ loss / np.maximum(weights @ base, 1e-12) - 1
    low, high = np.quantile(ratio, [0.025, 0.975])
    return float(low), float(high)


def score_subsets(scorer: ModuleType, name: str) -> None:
    _, demand = scorer.load_panel(name)
    methods = {
        label: METHODS[label]
        for label in ("spareplan", "empirical Bayes .95", "TSB + NB", "mean + NB", "iid bootstrap")
    }
    for size, draws in ((30, 24), (100, 16), (300, 8), (1000, 4)):
        rows = []
        for draw in range(draws):
            pick = np.random.default_rng(7000 * size + draw).choice(len(demand), size, replace=False)
            total = dict.fromkeys(methods, 0.0)
            came = 0.0
            for cut in scorer.PROTOCOL[name]["cutoffs"]:
                y = demand[pick, cut : cut + LEAD].sum(axis=1)
                came += y.sum()
                for label, method in methods.items():
                    total[label] += losses(y, method(demand[pick, :cut])[1]).sum()
            if came > 0:
                rows.append({label: value / came for label, value in total.items()})
        mean = pd.DataFrame(rows).mean()
        print(
            f"{name}, {size} random parts ({draws} draws): "
            + ", ".join(f"{label} {value:.3f}" for label, value in mean.items()),
            flush=True,
        )


def time_growth(scorer: ModuleType) -> None:
    import resource

    _, demand = scorer.load_panel("oil")
    for n in (3_000, 30_000, 300_000):
        history = long_table(demand[np.random.default_rng(0).integers(0, len(demand), n)])
        start = time.process_time()
        forecast_history(history, LEAD)
        seconds = time.process_time() - start
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"{n:,} series: {seconds:.1f} CPU s, {n / seconds:,.0f} series/s, at most {memory:.1f} GB",
            flush=True,
        )


def main() -> None:
    scorer = load_scorer()
    names = [name for name in sys.argv[1:] if name in PANELS] or list(PANELS)
    for name in names:
        score_subsets(scorer, name) if "--subsets" in sys.argv else score_panel(scorer, name)
    if "--growth" in sys.argv:
        time_growth(scorer)


if __name__ == "__main__":
    main()
