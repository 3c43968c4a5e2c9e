"""What the people plan does in each region and why, in one or two sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from spareplan.staffing.people_tables import month_names
from spareplan.staffing.sharing import PeoplePlan

# In the order of the sentence; "lend" and "move" name the other regions.
VERBS = {
    "hire": "hires {people:.0f}",
    "train": "trains {people:.0f}",
    "release": "lets {people:.0f} go",
    "move": "takes over {people:.0f} for good from {others}",
    "lend": "borrows {people:.1f} person-months from {others}",
    "overtime": "works {people:.1f} person-months overtime",
    "squad": "gets {people:.1f} person-months of the flying squad",
}


def region_words(
    plan: PeoplePlan, need: Any, regions: Sequence[Any] | None = None, months: Sequence[Any] | None = None
) -> pd.DataFrame:
    """Say for each region what is done and what stays missing.

    Parameters
    ----------
    plan : PeoplePlan
    need : array, shape (R, S, M)
        As given to `plan_people`. [standard engineers]
    regions, months : sequence, optional
        As given to `plan_people`.

    Returns
    -------
    DataFrame
        region_id, words; a row per region in the order given.
    """
    needed = np.asarray(need, dtype=float).sum(axis=1)
    names = np.arange(1, len(needed) + 1) if regions is None else pd.Index(regions).to_numpy()
    labels = month_names(np.arange(1, needed.shape[1] + 1) if months is None else months)
    moves = dict(list(plan.moves.groupby("region_id"))) if len(plan.moves) else {}
    away: dict[Any, list[str]] = {}
    for action, verb in (("move", "gives up {:.0f} for good"), ("lend", "lends out {:.1f} person-months")):
        given = plan.moves[plan.moves["action"] == action].groupby("other_region_id")["people"].sum()
        for region, people in given.items():
            away.setdefault(region, []).append(verb.format(people))
    out = []
    for r, region in enumerate(names):
        peak = int(np.argmax(needed[r]))
        text = f"{needed[r, peak]:.1f} standard engineers are needed in {labels[peak]}, the fullest month"
        done = [*_done(moves.get(region)), *away.get(region, [])]
        text += f"; the region {_joined(done)}." if done else "; nothing has to be done."
        short = plan.short[r].sum(axis=0)
        if short.sum() > 0.05:
            worst = int(np.argmax(short))
            most = f"most in {labels[worst]} ({short[worst]:.1f})"
            text += f" {short.sum():.1f} person-months stay missing, {most}."
        out.append(text)
    return pd.DataFrame({"region_id": names, "words": out})


def _done(moves: pd.DataFrame | None) -> list[str]:
    """What a region does, a phrase per action."""
    if moves is None:
        return []
    phrases = []
    for action, words in VERBS.items():
        part = moves[moves["action"] == action]
        people = float(part["people"].sum())
        if people < 0.05:
            continue
        phrase = words.format(people=people, others=" and ".join(_most(part)))
        if action in ("hire", "train"):
            skills = part.groupby("skill", sort=False)["people"].sum()
            phrase += f" ({', '.join(f'{count:.0f} {skill}' for skill, count in skills.items())})"
        phrases.append(phrase)
    return phrases


def _most(part: pd.DataFrame) -> list[str]:
    """The regions that give most, up to two, and how many others."""
    given = part.groupby("other_region_id")["people"].sum().sort_values(ascending=False, kind="stable")
    names = [str(name) for name in given.index[:2]]
    return [*names, f"{len(given) - 2} more"] if len(given) > 2 else names


def _joined(phrases: list[str]) -> str:
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"
