"""One way to write an assumption row of the forecast."""

from __future__ import annotations

from typing import Any


def note(name: str, value: Any, unit: str, origin: str, meaning: str) -> dict[str, Any]:
    """Assumption row of the forecast.

    Parameters
    ----------
    name : str
    value : Any
    unit, origin, meaning : str
        Where the value comes from, and what it means.

    Returns
    -------
    dict
        As `results.assumptions_frame` takes it.
    """
    return {
        "stage": "forecast",
        "name": name,
        "value": value,
        "unit": unit,
        "origin": origin,
        "meaning": meaning,
    }
