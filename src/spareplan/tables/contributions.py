"""Sources of a forecast: their fixed order, and what each of them means."""

from __future__ import annotations

import pandas as pd

SOURCES = {
    "machines in use today": "today's machines, failing as in the first month at an average month's use",
    "machines in use": "today's machines",
    "ageing": "what changes because their pieces grow older or are renewed",
    "season": "this calendar month's use against the average month's",
    "use": "the rest of the change in use: growth or decline",
    "retirements": "what machines that leave the field no longer need",
    "prevented by inspections": "failures that the visits ahead prevent",
    "machines to be sold": "machines of the sales plan, from age 0",
    "planned replacements": "pieces replaced before they fail",
    "past demand": "what the history of demand lets expect",
    "correction by feedback": "what earlier forecasts kept missing and the model does not learn",
    "issued number kept": "what keeping the issued number of a frozen month adds or takes away",
    "override": "what a planner put in place of the model's number",
    "planner's override": "what a planner put in place of the model's number",
}


def sources_in_order(contributions: pd.DataFrame) -> list[str]:
    """Sources that occur, in their fixed order; unknown ones last, by name.

    Parameters
    ----------
    contributions : DataFrame
        With a column source.

    Returns
    -------
    list of str
    """
    place = {name: at for at, name in enumerate(SOURCES)}
    found = map(str, contributions["source"].unique())
    return sorted(found, key=lambda name: (place.get(name, len(place)), name))
