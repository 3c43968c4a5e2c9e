"""Plan against actual in a colleague's words, English or Chinese; the words are in `language_words.csv`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spareplan.feedback.cells import STEPS
from spareplan.feedback.scores import SURPRISE_LIMIT
from spareplan.language import word

if TYPE_CHECKING:
    from spareplan.feedback.corrections import Corrections
    from spareplan.feedback.plan_score import PlanScore

SHOWN_LEVEL = 0.8
SHOWN = ("region_id", "part_id", "month", "who", "overrides", "helped", "planned", "actual", "bias",
         "tracking_signal", "tracking_limit", "surprise", "value_added", "low", "high", "money", "finding",
         "verdict")  # fmt: skip
SHOWN_PARTS, SHOWN_REGIONS, SHOWN_CORRECTIONS = 3, 4, 5


def note_lines(score: PlanScore, language: str = "en", corrections: Corrections | None = None) -> list[str]:
    """What a colleague would say about a score, most important first.

    Parameters
    ----------
    score : PlanScore
    language : {"en", "zh"}
    corrections : Corrections, optional
        What the next run will apply.

    Returns
    -------
    list of str
    """

    def say(key: str, **values: Any) -> str:
        return word(f"note_{key}", language).format(**values)

    table = score.table
    total = table.iloc[0]
    lines = [
        say("total", planned=f"{total['planned']:,.0f}", months=total["months"],
            actual=f"{total['actual']:,.0f}", bias=_share(total["bias"], "+.1%"))
    ]  # fmt: skip
    lines += _coverage(score, say)
    lines += _naive(score, say)
    lines += _regions(table, say)
    lines += _parts(table, say)
    lines += _planners(score, say)
    if corrections is not None:
        lines += _next_run(corrections, say)
    return lines


def shown_rows(rows: pd.DataFrame, language: str) -> pd.DataFrame:
    """Columns of a cut that a planner looks at first, headers and actions in his language.

    Parameters
    ----------
    rows : DataFrame
        From `PlanScore.by`.
    language : {"en", "zh"}

    Returns
    -------
    DataFrame
    """
    out = rows[[name for name in SHOWN if name in rows]].copy()
    if "month" in out:
        out["month"] = out["month"].dt.strftime("%Y-%m")
    if "finding" in out:
        out["finding"] = [word(f"note_action_{finding}", language) for finding in out["finding"]]
    if "verdict" in out:
        out["verdict"] = [word(f"note_{verdict.replace(' ', '_')}", language) for verdict in out["verdict"]]
    return out.rename(columns={name: word(f"accuracy_{name}", language) for name in out})


def _share(value: float, form: str) -> str:
    return "" if pd.isna(value) else f" ({value:{form}})"


def _coverage(score: PlanScore, say: Any) -> list[str]:
    rows = score.coverage
    rows = rows[rows["region_id"].isna() & (rows["level"] >= SHOWN_LEVEL)]
    if rows.empty:
        return []
    shares = [
        say("share", within=f"{one['within']:.1%}", level=f"{one['level']:.0%}")
        for one in rows.to_dict("records")
    ]
    wrong = rows.loc[rows["verdict"] != "as promised", "verdict"]
    verdict = say(wrong.iloc[0].replace(" ", "_")) if len(wrong) else say("as_promised")
    return [say("coverage", shares=say("comma").join(shares), verdict=verdict)]


def _naive(score: PlanScore, say: Any) -> list[str]:
    steps = score.stairs[score.stairs["region_id"].isna()].set_index("step").to_dict("index")
    if STEPS["naive"] not in steps:
        return []
    model = steps[STEPS["own"]]
    if pd.isna(model["gain"]):
        return []
    return [say("naive", gain=f"{model['gain']:+.1%}", verdict=say(model["verdict"].replace(" ", "_")))]


def _regions(table: pd.DataFrame, say: Any) -> list[str]:
    rows = table[(table["group"] == "region") & table["finding"].isin(["short", "over", "steady"])]
    if rows.empty:
        return [say("regions_fine")] if (table["group"] == "region").any() else []
    named = say("comma").join(
        f"{one['region_id']}{_share(one['bias'], '+.0%')}"
        for one in rows.head(SHOWN_REGIONS).to_dict("records")
    )
    return [say("regions_off", count=len(rows), regions=named)]


def _parts(table: pd.DataFrame, say: Any) -> list[str]:
    parts = table[table["group"] == "part"]
    off = parts[(parts["surprise"].abs() > SURPRISE_LIMIT) | (parts["finding"] == "unplanned")]
    lines = [say("parts_off", off=len(off), parts=len(parts))]
    for one in off.head(SHOWN_PARTS).to_dict("records"):
        lines.append(
            say("part", part=one["part_id"], planned=f"{one['planned']:,.1f}", actual=f"{one['actual']:,.0f}",
                bias=_share(one["bias"], "+.0%"), money=f"{one['money']:,.0f}",
                action=say(f"action_{one['finding']}"))
        )  # fmt: skip
    return lines


def _planners(score: PlanScore, say: Any) -> list[str]:
    laid = score.overrides
    if laid.empty:
        return []
    lines = [
        say("overrides", helped=int(laid["helped"].sum()), count=len(laid),
            saved=f"{laid['value_added'].sum():,.1f}")
    ]  # fmt: skip
    for one in score.planners.to_dict("records"):
        lines.append(
            say("planner", who=one["who"], helped=one["helped"], count=one["overrides"],
                saved=f"{one['value_added']:+,.1f}", money=f"{one['money']:+,.0f}",
                verdict=say(one["verdict"].replace(" ", "_")))
        )  # fmt: skip
    return lines


def _next_run(corrections: Corrections, say: Any) -> list[str]:
    live = corrections.table[corrections.table["applies"].astype(bool)]
    if corrections.runs < corrections.least_runs:
        return [say("next_few", runs=corrections.runs, least=corrections.least_runs)]
    if live.empty:
        return [say("next_none", runs=corrections.runs)]
    size = np.abs(np.log(live["factor"].to_numpy(dtype=float)))
    live = live.iloc[np.argsort(-size, kind="stable")]
    keys = ["region_id", "part_class", "part_id"]
    lines = [say("next", count=len(live), runs=corrections.runs)]
    for one in live.head(SHOWN_CORRECTIONS).to_dict("records"):
        name = " ".join(str(one[key]) for key in keys if not pd.isna(one[key]))
        lines.append(
            say("correction", name=name, factor=f"{one['factor']:.2f}", low=f"{one['low']:.2f}",
                high=f"{one['high']:.2f}", planned=f"{one['planned']:,.0f}", actual=f"{one['actual']:,.0f}")
        )  # fmt: skip
    return lines
