"""Why each order is given, in one sentence from its own numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from spareplan.stocking._setting import Setting
from spareplan.stocking._shelves import EMERGENCY, LATERAL, PURCHASE, REPAIR, REPLENISH


def order_reasons(moves: pd.DataFrame, named: pd.DataFrame, setting: Setting) -> np.ndarray:
    """One sentence per move, from its own numbers.

    Parameters
    ----------
    moves : DataFrame
        Columns of `Moves`.
    named : DataFrame
        The same rows with week, from_site_id and due_on.
    setting : Setting

    Returns
    -------
    ndarray of str, shape (len(moves),)
    """
    code, sent = moves["kind"].to_numpy(), moves["pieces"].to_numpy() > 0
    speakers = (
        (sent & (code == PURCHASE), _why_purchase),
        (sent & (code == REPLENISH), _why_replenish),
        (sent & (code == LATERAL), _why_lateral),
        (sent & (code == REPAIR), _why_repair),
        (sent & (code == EMERGENCY), _why_emergency),
    )
    out = np.full(len(moves), "", dtype=object)
    for chosen, speak in speakers:
        rows = np.flatnonzero(chosen)
        if len(rows):
            out[rows] = speak(moves.iloc[rows], named.iloc[rows], setting)
    return out


def _why_purchase(moves: pd.DataFrame, named: pd.DataFrame, setting: Setting) -> np.ndarray:
    lead = short_text(setting.lead_time_days[moves["part"].to_numpy(dtype=np.int64)])
    rounded = "; " + short_text(moves["asked"]) + " needed, rounded up to minimum order and packs"
    more = _where(moves["pieces"] > moves["asked"], rounded)
    return _position(moves) + "; supplier " + lead + " d" + _early(moves) + more


def _why_replenish(moves: pd.DataFrame, named: pd.DataFrame, setting: Setting) -> np.ndarray:
    sender = named["from_site_id"].to_numpy(dtype=object)
    shared = (
        "; it can send "
        + short_text(moves["pieces"])
        + " of "
        + short_text(moves["asked"])
        + ", the rest waits"
    )
    return (
        _position(moves)
        + "; from "
        + sender
        + _where(moves["pieces"] < moves["asked"], shared)
        + _early(moves)
    )


def _why_lateral(moves: pd.DataFrame, named: pd.DataFrame, setting: Setting) -> np.ndarray:
    sender = named["from_site_id"].to_numpy(dtype=object)
    return sender + " holds more than its base stock; " + _position(moves)


def _why_repair(moves: pd.DataFrame, named: pd.DataFrame, setting: Setting) -> np.ndarray:
    return short_text(moves["pieces"]) + " in repair, back in " + _days(named) + " d"


def _why_emergency(moves: pd.DataFrame, named: pd.DataFrame, setting: Setting) -> np.ndarray:
    sender = named["from_site_id"].to_numpy(dtype=object)
    owed = (
        short_text(moves["asked"])
        + " owed before the routine arrival in "
        + short_text(moves["gap_days"])
        + " d"
    )
    return owed + "; emergency from " + sender + " in " + _days(named) + " d"


def _position(moves: pd.DataFrame) -> np.ndarray:
    below = "position " + short_text(moves["position"]) + " <= reorder point " + short_text(moves["reorder"])
    return below + "; base stock " + short_text(moves["base"])


def _early(moves: pd.DataFrame) -> np.ndarray:
    return _where(moves["gap_days"] > 0, "; covers " + short_text(moves["gap_days"]) + " d of closed weeks")


def _days(named: pd.DataFrame) -> np.ndarray:
    return short_text((named["due_on"] - named["week"]).dt.days)


def _where(chosen: pd.Series, words: np.ndarray) -> np.ndarray:
    return np.where(chosen, words, np.array("", dtype=object))


def short_text(values: Any) -> np.ndarray:
    """Numbers as short text; each distinct number is written once."""
    distinct, place = np.unique(np.asarray(values, dtype=float).round(1) + 0.0, return_inverse=True)
    return np.array([f"{value:,.10g}" for value in distinct], dtype=object)[place]
