"""What headquarters and regions read about engineers: frames of the head count, cut by region."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from spareplan.export.contract import ENGINEER_SHEETS, HQ_ENGINEER_SHEETS
from spareplan.results import Headcount

PREFIX = "engineers_"
# Of `Headcount.places`, beside a region's row.
_PLACE = ["area_km2", "effective_km2", "clusters", "latitude", "longitude"]
# What a region that gives is told of what one that takes does.
_GIVEN = {"lend": "lend_out", "move": "move_out"}


def engineer_frames(crew: Headcount | None) -> dict[str, pd.DataFrame]:
    """Frames of a head count by the sheet that shows them; those without rows are left out.

    Parameters
    ----------
    crew : Headcount, optional

    Returns
    -------
    dict of str to DataFrame
        Keys of `contract.ENGINEER_SHEETS` and `contract.HQ_ENGINEER_SHEETS`, in their order; the regions
        with the area and the middle of their work.
    """
    if crew is None:
        return {}
    frames = {
        sheet: getattr(crew, sheet.removeprefix(PREFIX), pd.DataFrame())
        for sheet in (*ENGINEER_SHEETS, *HQ_ENGINEER_SHEETS)
    }
    regions = frames["engineers_regions"]
    if len(regions) and len(crew.places):
        places = crew.places.reindex(columns=["region_id", *_PLACE])
        frames["engineers_regions"] = regions.merge(places, on="region_id", how="left", validate="1:1")
    return {sheet: frame for sheet, frame in frames.items() if len(frame)}


def cut_engineers(whole: Mapping[str, pd.DataFrame], region_id: str) -> dict[str, pd.DataFrame]:
    """What one region reads about engineers: its own rows, and what concerns every region.

    Parameters
    ----------
    whole : mapping of str to DataFrame
        Sheets of the plan, as shaped for the export.
    region_id : str

    Returns
    -------
    dict of str to DataFrame
        Sheets with rows only. Whom the region lends or gives stands among its moves as lend_out or move_out,
        without the borrower's reason and money, which are the borrower's.
    """
    found = {}
    for sheet in ENGINEER_SHEETS:
        if sheet in whole:
            frame = whole[sheet]
            if "region_id" in frame:
                own = frame[(frame["region_id"] == region_id).to_numpy(dtype=bool)]
                if sheet == "engineers_moves":
                    own = _with_given(own, frame, region_id)
                frame = own.reset_index(drop=True)
            if len(frame):
                found[sheet] = frame
    return found


def region_lines(sheets: Mapping[str, pd.DataFrame]) -> list[str]:
    """Say in a line or two what a region has to know of its engineers.

    Parameters
    ----------
    sheets : mapping of str to DataFrame
        Of one region.

    Returns
    -------
    list of str
        Empty without a head count.
    """
    if "engineers_regions" not in sheets:
        return []
    row = sheets["engineers_regions"].iloc[0]
    lines = [
        f"Engineers: {row['present']:.0f} today, {row['required']:.0f} required in {row['month']:%Y-%m}, "
        f"the fullest month: {row['reason']}."
    ]
    if "engineers_shortages" in sheets:
        missing = sheets["engineers_shortages"]
        lines.append(
            f"{missing['people'].sum():.1f} person-months of engineers stay missing, priced at "
            f"{missing['cost'].sum():,.0f}."
        )
    return lines


def _with_given(own: pd.DataFrame, moves: pd.DataFrame, region_id: str) -> pd.DataFrame:
    given = moves[(moves["other_region_id"] == region_id).to_numpy(dtype=bool)]
    if given.empty:
        return own
    action = given["action"].map(_GIVEN)
    # The borrower's need is none of the lender's; the money is counted once, where it is spent.
    mirrored = given.assign(
        region_id=region_id,
        other_region_id=given["region_id"],
        action=action,
        cost=np.nan,
        reason=[
            f"{people:.2g} {skill} {'go for good' if what == 'move_out' else 'are lent'} to {taker}"
            for people, skill, what, taker in zip(
                given["people"], given["skill"], action, given["region_id"], strict=True
            )
        ],
    )
    both = pd.concat([own, mirrored], ignore_index=True)
    return both.sort_values(["month", "skill", "action", "other_region_id"], kind="stable")
