"""Score and time the history forecast beside what anybody could do, in one run.

    SPAREPLAN_TEST_DATA=.../data python benchmarks/bench_history.py [SECTION ...] [--draws N] [--csv FILE]

panels      carparts, OIL, MAN at four origins, figures checked by the independent scorer beside the data;
            statsforecast in an environment of its own: the Python that SPAREPLAN_PEERS_PYTHON or PEERS_PYTHON
            names, else it is left out (python -m venv peers && peers/bin/pip install statsforecast)
halves      first and last 24 periods of each real panel alone, MAN in weeks
new         a fifth of the parts made new: only their last 1, 3 or 6 periods are left
leads       every part's own lead time: MAN 7 or 16 weeks, OIL 1 to 16 months
subsets     30 to 1,000 random parts of the real panels
simulated   made-up panels of fifteen kinds, of 600 and of 60 parts; needs no outside data
growth      seconds and memory of 3,000, 30,000 and 300,000 series; needs no outside data

Without a section: panels, leads, simulated and growth, a draw of each. Loss is the weighted quantile loss at
.5 .8 .9 .95 .99. Whether a difference is real is said by a paired bootstrap over the parts (of subsets: over
the draws). Series per second of statsforecast are point forecasts, all others make five quantiles.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from history_methods import (
    COLUMNS,
    LEVELS,
    SINGLE,
    Forecast,
    Method,
    negative_binomial_sums,
    normal_sums,
    spareplan,
)
from history_panels import (
    REPORT_SEEDS,
    DemandPanel,
    FloatArray,
    IntArray,
    halves,
    lead_time_panels,
    load_scorer,
    new_parts,
    real_panels,
    simulated_panels,
    subsets,
    weekly_man,
)
from history_scores import (
    Scored,
    method_table,
    paired_interval,
    score_forecasts,
    score_method,
    truth,
    verdict,
)

HERE = Path(__file__).parent
BASE = "spareplan"
USUAL = ("panels", "leads", "simulated", "growth")
METHODS: dict[str, Method] = {BASE: spareplan(), "spareplan unrounded": spareplan(rounded=False), **SINGLE}
# Slow and never near the best: left out where many small panels are scored.
FEW = {label: method for label, method in METHODS.items() if label not in ("spareplan unrounded", "zero")}
SUBSETS = {30: 3, 100: 2, 300: 1, 1000: 1}
SUBSET_SEED = 7
# Fewer draws of a panel say nothing about how draws differ.
ENOUGH_DRAWS = 8
NEW_PERIODS = (1, 3, 6)
# Parts of a made-up panel, and how many times the draws asked for.
SIMULATED = {600: 1, 60: 2}
# Not what anybody could do instead.
REFERENCES = ("spareplan", "spareplan unrounded", "spareplan, told more", "knows the rates")
SIZES = (3_000, 30_000, 300_000)


def main() -> None:
    sections: dict[str, Callable[[ModuleType | None, int], Iterable[pd.DataFrame]]] = {
        "panels": bench_panels,
        "halves": bench_halves,
        "leads": bench_leads,
        "new": bench_new,
        "subsets": bench_subsets,
        "simulated": bench_simulated,
        "growth": bench_growth,
    }
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("section", nargs="*", help=", ".join(sections))
    parser.add_argument("--draws", type=int, default=1, help="draws of subsets, seeds of simulated panels")
    parser.add_argument("--csv", type=Path, help="write every figure to this file")
    chosen = parser.parse_args()
    if unknown := set(chosen.section) - set(sections):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(sections)}")
    scorer = load_scorer()
    tables = []
    for name in chosen.section or USUAL:
        if scorer is None and name not in ("simulated", "growth"):
            print(f"\n{name} left out: set SPAREPLAN_TEST_DATA to the folder with the panels")
            continue
        print(f"\n== {name}")
        tables += [table.assign(section=name) for table in sections[name](scorer, chosen.draws)]
    if chosen.csv and tables:
        pd.concat(tables, ignore_index=True).to_csv(chosen.csv, index=False)
        print(f"\nall figures: {chosen.csv}")


def bench_panels(scorer: ModuleType, draws: int) -> Iterable[pd.DataFrame]:
    """All methods on the three real panels, own and statsforecast's."""
    tables = []
    panels = real_panels(scorer)
    peers = forecast_by_peers(panels)
    for panel in panels:
        methods = dict(METHODS)
        if panel.exposure is not None:
            methods["spareplan, told more"] = spareplan(exposed=True)
        scored = {label: score_method(panel, method) for label, method in methods.items()}
        for label, (forecasts, seconds) in peers.get(panel.name, {}).items():
            scored[label] = score_forecasts(panel, forecasts, seconds)
        check_against_scorer(scorer, panel)
        tables.append(show(panel, scored))
    show_all(pd.concat(tables))
    return tables


def bench_halves(scorer: ModuleType, draws: int) -> Iterable[pd.DataFrame]:
    """Short histories, and weeks."""
    carparts, oil, man = real_panels(scorer)
    short = [half for panel in (carparts, oil, man) for half in halves(panel)]
    tables = [show(panel, score_all(panel), brief=True) for panel in [*short, weekly_man(scorer)]]
    show_all(pd.concat(tables))
    return tables


def bench_leads(scorer: ModuleType, draws: int) -> Iterable[pd.DataFrame]:
    """Sums over each part's own lead time."""
    tables = []
    for panel in lead_time_panels(scorer):
        scored = score_all(panel)
        tables.append(show(panel, scored))
        show_by_lead(panel, scored)
    return tables


def show_by_lead(panel: DemandPanel, scored: Mapping[str, Scored]) -> None:
    """Print the best other method beside spareplan among the parts of each lead time."""
    leads = np.broadcast_to(panel.lead, len(panel.demand))
    edges = [1, 2, 3, 4, 6, 10, int(leads.max()) + 1]
    for low, high in pairwise(edges):
        rows = (leads >= low) & (leads < high)
        ours = scored[BASE].loss[rows]
        if ours.sum() > 0:
            others = [label for label in scored if label not in REFERENCES]
            best = min(others, key=lambda label: scored[label].loss[rows].sum())
            span = f"{low}" if high == low + 1 else f"{low} to {high - 1}"
            print(
                f"  lead time {span}: {rows.sum():,} parts; {best} {relative(scored[best].loss[rows], ours)}"
            )


def bench_new(scorer: ModuleType, draws: int) -> Iterable[pd.DataFrame]:
    """Parts with next to no history, beside parts with one; scored are the new ones alone."""
    tables = []
    for panel in real_panels(scorer):
        methods = dict(FEW)
        if panel.exposure is not None:
            methods["spareplan, told more"] = spareplan(exposed=True)
        for known in NEW_PERIODS:
            drawn = [
                {label: only(score_method(at, method), at, rows) for label, method in methods.items()}
                for at, rows in new_parts(panel, known)
            ]
            tables.append(show_draws(f"{panel.name}, {known} known", drawn, by_part=True))
    show_all(pd.concat(tables))
    return tables


def only(score: Scored, panel: DemandPanel, rows: IntArray) -> Scored:
    """The score of some parts alone."""
    came = sum(window.came[np.isin(window.rows, rows)].sum() for window in panel.windows())
    return Scored(score.loss[rows], float(came), {}, score.seconds)


def bench_subsets(scorer: ModuleType, draws: int) -> Iterable[pd.DataFrame]:
    """Few parts of a panel; draws are what the interval is taken over."""
    tables = []
    for panel in real_panels(scorer):
        for size, more in SUBSETS.items():
            drawn = [score_all(part) for part in subsets(panel, size, draws * more, SUBSET_SEED)]
            tables.append(show_draws(f"{panel.name}, {size} parts", drawn, by_part=False))
    show_all(pd.concat(tables))
    return tables


def bench_simulated(scorer: ModuleType | None, draws: int) -> Iterable[pd.DataFrame]:
    """Made-up panels beside the least loss that can be reached."""
    by_kind: dict[str, list[dict[str, Scored]]] = {}
    for parts, more in SIMULATED.items():
        for panel in simulated_panels(range(REPORT_SEEDS, REPORT_SEEDS + draws * more), parts=parts):
            scored = score_all(panel)
            if panel.exposure is not None:
                scored["spareplan, told more"] = score_method(panel, spareplan(exposed=True))
            scored["knows the rates"] = truth(panel)
            by_kind.setdefault(f"{panel.name}, {parts} parts", []).append(scored)
    tables = [show_draws(kind, drawn, by_part=True) for kind, drawn in by_kind.items()]
    for parts in SIMULATED:
        show_all(pd.concat(table for table in tables if table["panel"][0].endswith(f", {parts} parts")))
    return tables


def bench_growth(scorer: ModuleType | None, draws: int) -> Iterable[pd.DataFrame]:
    """Seconds and memory against the number of series, each size in a process of its own."""
    rows = []
    for method, sizes in ((BASE, SIZES), ("naive", (1_000,))):
        for size in sizes:
            command = [sys.executable, str(HERE / "history_growth.py"), method, str(size)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            rows.append({"method": method, "series": size, **json.loads(done.stdout)})
            row = rows[-1]
            print(
                f"{method}: {size:,} series x 36 periods, {row['seconds']:.2f} CPU s, "
                f"{size / row['seconds']:,.0f} series/s, peak {row['peak'] / 1e9:.2f} GB "
                f"(of which before the forecast {row['before'] / 1e9:.2f})",
                flush=True,
            )
    table = pd.DataFrame(rows)
    ours = table[table["method"] == BASE]
    for first, second in zip(ours.itertuples(), ours.iloc[1:].itertuples()):
        slope = np.log(second.seconds / first.seconds) / np.log(second.series / first.series)
        print(f"{first.series:,} to {second.series:,} series: seconds grow with the power {slope:.2f}")
    per_series = rows[-1]["seconds"] / rows[-1]["series"]
    print(
        "naive, a bootstrap part by part in Python, extrapolated from 1,000 series: "
        + ", ".join(f"{size:,} series {size * per_series:.1f} s" for size in SIZES)
    )
    return [table]


def score_all(panel: DemandPanel, methods: Mapping[str, Method] = FEW) -> dict[str, Scored]:
    return {label: score_method(panel, method) for label, method in methods.items()}


def forecast_by_peers(panels: list[DemandPanel]) -> dict[str, dict[str, tuple[list[Forecast], float]]]:
    """Quantiles from statsforecast's sums by panel and method, with seconds of CPU; empty if left out."""
    python = os.environ.get("SPAREPLAN_PEERS_PYTHON") or os.environ.get("PEERS_PYTHON")
    if not python:
        print("statsforecast left out: name the Python of an environment that has it in PEERS_PYTHON")
        return {}
    windows = {
        f"{panel.name}|{window.origin}|{panel.lead}": window for panel in panels for window in panel.windows()
    }
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "windows.npz", Path(folder) / "sums.npz"
        np.savez(given, **{key: window.demand for key, window in windows.items()})
        command = [python, str(HERE / "history_peers.py"), str(given), str(found)]
        try:
            done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=900)
        except (OSError, subprocess.SubprocessError) as error:
            detail = getattr(error, "stderr", None) or str(error)
            print(f"statsforecast left out: {str(detail).strip().splitlines()[-1]}")
            return {}
        answer, sums = json.loads(done.stdout), dict(np.load(found))
    print(f"statsforecast {answer['versions']['statsforecast']}: one core, without imports and compilation")
    out: dict[str, dict[str, tuple[list[Forecast], float]]] = {panel.name: {} for panel in panels}
    for model in dict.fromkeys(key.split("|")[0] for key in sums):
        for panel in panels:
            keys = [f"{panel.name}|{origin}|{panel.lead}" for origin in panel.origins]
            seconds = sum(answer["seconds"][f"{model}|{key}"] for key in keys)
            laws = {f"sf {model} + NB": negative_binomial_sums}
            if model == "CrostonSBA":
                laws[f"sf {model} + normal"] = normal_sums
            for label, law in laws.items():
                made = [law(windows[key], sums[f"{model}|{key}"] / panel.lead) for key in keys]
                out[panel.name][label] = (made, seconds)
    return out


def check_against_scorer(scorer: ModuleType, panel: DemandPanel) -> None:
    """Compare the figures of one forecast with those of the independent scorer."""
    ids = scorer.load_panel(panel.name)[0]
    forecasts = [METHODS["empirical Bayes .95"](window) for window in panel.windows()]
    frames = [
        pd.DataFrame(quantiles, columns=COLUMNS).assign(unique_id=ids, cutoff=at, step=panel.lead, mean=mean)
        for at, (mean, quantiles) in zip(panel.origins, forecasts)
    ]
    theirs, _ = scorer.score(pd.concat(frames), scorer.actual_ltd(panel.name))
    ours = score_forecasts(panel, forecasts).figures
    for name, value in ours.items():
        if not np.isclose(value, theirs["wql_ops" if name == "wql" else name], rtol=1e-9):
            raise ValueError(f"{panel.name}: {name} is {value}, the independent scorer says {theirs}")


def show(panel: DemandPanel, scored: Mapping[str, Scored], brief: bool = False) -> pd.DataFrame:
    """Print and return the figures of every method on one panel."""
    table = method_table(panel, scored, BASE)
    series = len(panel.demand) * len(panel.origins)
    if not brief:
        print(f"\n{panel.name}: {len(panel.demand):,} parts, origins {panel.origins}")
        print(
            f"{'':27} loss    to spareplan (95 %)                       bias     calerr .5   .8   .9  .95  "
            ".99  stock.95 fill.95   CPU s  series/s"
        )
        for row in table.to_dict("records"):
            calibration = " ".join(f"{row[f'calerr_{level:g}']:.3f}" for level in LEVELS)
            print(
                f"{row['method']:27}{row['wql']:.4f}  {against(row):42} {row['bias']:+.3f}    {calibration}"
                f"   {row['stock_0.95']:6.2f}   {row['fill_0.95']:.3f}  {row['seconds']:6.2f}"
                f"  {series / max(row['seconds'], 1e-9):8,.0f}"
            )
    return table


def show_draws(name: str, drawn: list[dict[str, Scored]], by_part: bool) -> pd.DataFrame:
    """Figures over draws of one kind of panel; the interval over all their parts, or over the draws."""
    drawn = [scored for scored in drawn if scored[BASE].came > 0]
    came = sum(scored[BASE].came for scored in drawn)

    def loss(label: str) -> FloatArray:
        parts = [scored[label].loss if by_part else scored[label].loss.sum(keepdims=True) for scored in drawn]
        return np.concatenate(parts)

    rows = []
    for label in drawn[0]:
        low, high = paired_interval(loss(label), loss(BASE))
        ratio = [scored[BASE].wql / scored[label].wql - 1 for scored in drawn]
        row = {"panel": name, "method": label, "wql": loss(label).sum() / came, "low": low, "high": high}
        row |= {"to_base": loss(label).sum() / loss(BASE).sum() - 1, "draws": len(drawn)}
        told = verdict(low, high) if by_part or len(drawn) >= ENOUGH_DRAWS else "too few draws to tell"
        row |= {"base_worst_draw": max(ratio), "difference": "" if label == BASE else told}
        rows.append(row)
    table = pd.DataFrame(rows)
    singles = table[table["method"].isin(SINGLE)]
    best = singles.sort_values("wql").to_dict("records")[0]
    print(
        f"{name} ({len(drawn)} draws): spareplan {table['wql'][0]:.4f}; best other {best['method']} "
        f"{best['wql']:.4f}, {against(best)}; "
        f"spareplan to it in the worst draw {best['base_worst_draw']:+.1%}",
        flush=True,
    )
    return table


def against(row: Mapping[str, Any]) -> str:
    """Loss relative to spareplan in words."""
    if not row["difference"]:
        return ""
    return f"{row['to_base']:+.1%} ({row['low']:+.1%} .. {row['high']:+.1%}) {row['difference']}"


def relative(loss: FloatArray, base: FloatArray) -> str:
    """Loss of some parts relative to spareplan in words."""
    low, high = paired_interval(loss, base)
    difference = verdict(low, high)
    return against(
        {"to_base": loss.sum() / base.sum() - 1, "low": low, "high": high, "difference": difference}
    )


def show_all(table: pd.DataFrame) -> None:
    """Print the loss of all methods on all panels, and where spareplan is not the best."""
    panels = list(dict.fromkeys(table["panel"]))
    wide = table.set_index(["method", "panel"])["wql"].unstack("panel")[panels]  # noqa: PD010
    wide = wide.reindex(list(dict.fromkeys(table["method"])))
    numbers = {panel: f"[{number}]" for number, panel in enumerate(panels, 1)}
    print("\nloss of all methods: " + ", ".join(f"{mark} {panel}" for panel, mark in numbers.items()))
    print(wide.rename(columns=numbers).rename_axis(index=None, columns=None).round(3).to_string(na_rep="-"))
    better = table[(table["to_base"] < 0) & ~table["method"].isin(REFERENCES)].sort_values("to_base")
    print("spareplan is not the best:" + ("" if len(better) else " nowhere"))
    for panel, rows in better.groupby("panel", sort=False):
        best, real = rows.to_dict("records")[0], int((rows["difference"] == "better, real").sum())
        print(f"  {panel}: {best['method']} {against(best)}; {len(rows)} better, {real} of them for real")


if __name__ == "__main__":
    main()
