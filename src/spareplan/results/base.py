"""What all results share: a table, the assumptions behind it, and a summary in words."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

SHOWN_ROWS = 6
ASSUMPTION_COLUMNS = ["stage", "name", "value", "unit", "origin", "meaning"]


def assumptions_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Collect assumptions into their table.

    Parameters
    ----------
    rows : iterable of mapping
        Keys stage, name, value, unit, origin, meaning; a missing one is empty. `origin` says where the value
        came from: "default", "set by the user", "data: parts.lead_time_days", "estimated from ...".

    Returns
    -------
    DataFrame
        Columns of ASSUMPTION_COLUMNS, values as text.
    """
    frame = pd.DataFrame(list(rows), columns=ASSUMPTION_COLUMNS)
    frame["value"] = [_text(value) for value in frame["value"]]
    return frame.astype(object).fillna("").astype(str)


@dataclass(frozen=True, repr=False)
class Result:
    """Base of all results.

    Parameters
    ----------
    table : DataFrame
        Tidy rows, columns as in the catalog.
    assumptions : DataFrame
        Every parameter that went in, and where it came from (ASSUMPTION_COLUMNS).
    lines : tuple of str
        What a colleague would say about it, most important first.
    """

    table: pd.DataFrame
    assumptions: pd.DataFrame
    lines: tuple[str, ...] = ()

    def summary(self) -> str:
        """The result in a few sentences, one per line."""
        return "\n".join(self.lines)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.table)} rows>\n{self.summary()}"

    def _repr_html_(self) -> str:
        said = "".join(f"<li>{html.escape(line)}</li>" for line in self.lines)
        count = f"<p>{len(self.table):,} rows in .table</p>"
        return f"<h4>{type(self).__name__}</h4><ul>{said}</ul>{html_table(self.table)}{count}"


def html_table(frame: pd.DataFrame) -> str:
    """First rows for a notebook: a line each however long the reason, empty columns left out."""
    shown = frame.head(SHOWN_ROWS).dropna(axis=1, how="all")
    table = shown.to_html(index=False, border=0, na_rep="", float_format=short_number)
    # Jupyter's own style breaks lines in every cell; only a style on the cell outdoes it.
    table = table.replace("<td>", '<td style="white-space: nowrap; text-align: left">')
    return f'<div style="overflow-x: auto">{table}</div>'


def short_number(value: float) -> str:
    """Say a number in a few characters: whole where it is whole or large, else three figures.

    Examples
    --------
    >>> short_number(1234567.8), short_number(2.0), short_number(0.12345)
    ('1,234,568', '2', '0.123')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:.3g}"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(item)}" for key, item in value.items())
    if dataclasses.is_dataclass(value):
        return type(value).__name__
    return str(value)
