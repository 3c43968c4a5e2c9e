"""Point forecasts by statsforecast; run by the interpreter of its own environment.

`bench_history.py` writes the known periods of every window to a file and starts this script with another
Python. It writes the forecast sums to a second file and prints versions and seconds of CPU as JSON. One core;
every model runs once on a few series before the clock starts, so no import or compilation is counted; what is
counted is `StatsForecast.forecast` from a long table that is there already.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any

import numpy as np


def models() -> dict[str, Any]:
    """The models that matter for spare parts, by the names they are shown under."""
    from statsforecast import models

    return {
        "HistoricAverage": models.HistoricAverage(),
        "WindowAverage 12": models.WindowAverage(window_size=12),
        "SeasonalNaive 12": models.SeasonalNaive(season_length=12),
        "SES .1": models.SimpleExponentialSmoothing(alpha=0.1),
        "SES optimised": models.SimpleExponentialSmoothingOptimized(),
        "CrostonClassic": models.CrostonClassic(),
        "CrostonSBA": models.CrostonSBA(),
        "CrostonOptimized": models.CrostonOptimized(),
        "TSB .1 .1": models.TSB(alpha_d=0.1, alpha_p=0.1),
        "ADIDA": models.ADIDA(),
        "IMAPA": models.IMAPA(),
    }


def long_table(demand: Any) -> Any:
    """The frame statsforecast reads."""
    import pandas as pd

    n, c = demand.shape
    return pd.DataFrame(
        {"unique_id": np.repeat(np.arange(n), c), "ds": np.tile(np.arange(c), n), "y": demand.ravel()}
    )


def main(path: str, out: str) -> None:
    """Forecast every window in the file with every model."""
    import pandas
    import statsforecast

    stored = np.load(path)
    sums, seconds = {}, {}
    for name, model in models().items():
        for window in stored.files:
            lead = int(window.split("|")[-1])
            engine = statsforecast.StatsForecast([model], freq=1, n_jobs=1)
            engine.forecast(df=long_table(stored[window][:20]), h=lead)
            table = long_table(stored[window])
            cpu = time.process_time()
            found = engine.forecast(df=table, h=lead)
            ahead = found.iloc[:, -1].to_numpy(float).reshape(-1, lead)
            seconds[f"{name}|{window}"] = time.process_time() - cpu
            sums[f"{name}|{window}"] = np.maximum(np.nan_to_num(ahead), 0.0).sum(axis=1)
    np.savez(out, **sums)
    versions = {"statsforecast": statsforecast.__version__, "pandas": pandas.__version__}
    print(json.dumps({"versions": versions, "seconds": seconds}))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1], sys.argv[2])
