"""Engineers today, as arrays."""

from __future__ import annotations

from typing import Any

import pandas as pd

from spareplan.staffing.visits import SKILLS


class Teams:
    """Engineers today as arrays: regions x skills, lowest skill first."""

    def __init__(self, engineers: pd.DataFrame, regions: pd.Index) -> None:
        self.regions = regions
        self.notes: list[dict[str, Any]] = []

        def grid(column: str) -> pd.DataFrame:
            wide = engineers.pivot_table(column, "region_id", "skill", "sum")
            return wide.reindex(index=regions, columns=list(SKILLS)).astype(float)

        if engineers.empty:
            self._note(
                "engineers", "none", "no engineers given: nobody is there today, and cost counts as 1 a year"
            )
        heads = grid("headcount").fillna(0.0)
        empty = list(heads.index[heads.sum(axis=1) <= 0])
        if empty and not engineers.empty:
            self._note(
                "no_engineers", ", ".join(empty), "regions without engineers today; skills mixed as elsewhere"
            )
        common = (
            heads.sum() / heads.to_numpy().sum()
            if heads.to_numpy().sum() > 0
            else pd.Series([0.0, 1.0, 0.0], index=list(SKILLS))
        )
        mix = heads.div(heads.sum(axis=1).where(lambda total: total > 0), axis=0).fillna(common)
        cost = grid("annual_cost")
        usual = cost.mean().fillna(cost.mean().mean()).fillna(1.0)
        self.heads, self.mix = heads.to_numpy(), mix.to_numpy()
        self.cost = cost.fillna(usual).to_numpy()
        efficiency = grid("efficiency")
        self.efficiency = efficiency.fillna(efficiency.mean()).fillna(1.0).to_numpy()

    def _note(self, name: str, value: str, meaning: str) -> None:
        self.notes.append(
            {
                "stage": "staffing",
                "name": name,
                "value": value,
                "unit": "",
                "origin": "data: engineers",
                "meaning": meaning,
            }
        )
