"""Command line of what is asked of stock levels: caps of regions, steadiness."""

from __future__ import annotations

from typing import Any

import typer


def stocking_wishes(caps: list[str] | None, change_must_save: float | None) -> dict[str, Any]:
    """Options of the stock levels from the command line; empty where nothing was asked.

    Parameters
    ----------
    caps : list of str or None
        "REGION=MONEY", a region each.
    change_must_save : float or None
        In pieces of the part.

    Returns
    -------
    dict
        Fields of `StockingOptions`.

    Raises
    ------
    typer.BadParameter
        No amount of money behind a region, or a region named twice.
    """
    found: dict[str, Any] = {}
    if change_must_save is not None:
        found["change_must_save"] = change_must_save
    if caps:
        money: dict[str, float] = {}
        for text in caps:
            region, sign, amount = text.rpartition("=")
            try:
                value = float(amount.replace(",", "").replace("_", ""))
            except ValueError:
                value = -1.0
            if not sign or not region or not 0 <= value < float("inf"):
                raise typer.BadParameter(f"{text!r}: write it as REGION=MONEY", param_hint="--cap")
            if region in money:
                raise typer.BadParameter(f"{region} is named twice", param_hint="--cap")
            money[region] = value
        found["region_caps"] = money
    return found
