"""Parts that took the place of others: who stands at the end of each chain."""

from __future__ import annotations

import numpy as np
import pandas as pd


def newest_parts(parts: pd.DataFrame) -> dict[str, str]:
    """Last successor of every superseded part.

    Parameters
    ----------
    parts : DataFrame
        part_id, superseded_by.

    Returns
    -------
    dict of str to str
        Only parts with a successor; parts of a circle lead to some part of it.
    """
    chain = parts[["part_id", "superseded_by"]].dropna().drop_duplicates("part_id")
    step = pd.Series(chain["superseded_by"].to_numpy(), index=pd.Index(chain["part_id"]))
    # Each round doubles the length of the way; circles never end.
    for _ in range(int(np.ceil(np.log2(len(step) + 1)))):
        step = step.map(step).fillna(step)
    return {str(part): str(last) for part, last in step.items()}
