"""Sites make one tree, or are refused by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spareplan.errors import DataError
from spareplan.tables.network import build_network, circles, echelons


def sites(**parents: str | None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "site_id": list(parents),
            "parent_id": list(parents.values()),
            "lead_time_days": np.arange(len(parents), dtype=float),
        }
    )


def test_sites_are_ordered_from_headquarters_down() -> None:
    network = build_network(sites(c="b", b="HQ", HQ=None, a="HQ", d="c"))
    assert network.hq == "HQ"
    assert network.site_ids == ["HQ", "a", "b", "c", "d"]
    assert network.echelon.to_dict() == {"HQ": 0, "a": 1, "b": 1, "c": 2, "d": 3}
    assert network.children("HQ") == ["a", "b"]
    assert network.path_to_hq("d") == ["d", "c", "b", "HQ"]
    assert network.leaves == ["a", "d"]
    assert network.lead_time_days["d"] == 4
    assert pd.isna(network.parent["HQ"])
    assert network.region.isna().all()


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (sites(HQ=None, a="b", b="c", c="a"), "a <- b <- c <- a"),
        (sites(HQ=None, a="a"), "a <- a"),
        (sites(a="b", b="a"), "no headquarters"),
        (sites(HQ=None, H2=None), "second headquarters"),
        (sites(HQ=None, a="x"), "not in sites"),
        (pd.concat([sites(HQ=None), sites(HQ=None)]), "already in row 2"),
    ],
)
def test_what_is_no_tree_is_refused(tree: pd.DataFrame, words: str) -> None:
    with pytest.raises(DataError, match=words):
        build_network(tree)


def test_an_unknown_site_is_refused() -> None:
    with pytest.raises(DataError, match="nowhere"):
        build_network(sites(HQ=None)).path_to_hq("nowhere")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-1, 30), min_size=1, max_size=25), st.randoms())
def test_every_site_hangs_on_a_root_or_leads_into_a_circle(parents: list[int], random) -> None:
    tree = {
        str(site): (str(parent % len(parents)) if parent >= 0 else None)
        for site, parent in enumerate(parents)
    }
    depth = echelons(tree)
    on_circle = {site for _, ring in circles(tree) for site in ring}
    for site in tree:
        seen, at = [], site
        while at is not None and at not in seen:
            seen.append(at)
            at = tree[at]
        if at is None:
            assert depth[site] == len(seen) - 1
        else:
            assert site not in depth
            assert at in on_circle


def test_a_long_chain_needs_no_deep_recursion() -> None:
    chain = sites(**{f"s{k}": f"s{k - 1}" if k else None for k in range(5000)})
    assert build_network(chain).echelon.max() == 4999
