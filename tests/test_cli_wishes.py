"""Caps and steadiness on the command line."""

from __future__ import annotations

import pytest
import typer

from spareplan.cli_wishes import stocking_wishes


def test_caps_are_read_by_region_in_any_way_people_write_money() -> None:
    wishes = stocking_wishes(["华东=1,250,000", "a=b=2e5", "North=0"], None)
    assert wishes == {"region_caps": {"华东": 1_250_000.0, "a=b": 200_000.0, "North": 0.0}}
    assert stocking_wishes(None, 0.0) == {"change_must_save": 0.0}
    assert stocking_wishes(None, None) == {}


@pytest.mark.parametrize("text", ["华东", "华东=", "=5", "华东=-1", "华东=much", "华东=nan", "华东=inf"])
def test_what_is_no_cap_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="REGION=MONEY"):
        stocking_wishes([text], None)


def test_a_region_named_twice_is_refused() -> None:
    with pytest.raises(typer.BadParameter, match="twice"):
        stocking_wishes(["华东=1", "华东=2"], None)
