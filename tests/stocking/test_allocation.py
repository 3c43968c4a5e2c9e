from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spareplan.stocking.allocation import match_excess, order_size, share_scarce, whole_pieces

PIECES = st.integers(0, 50).map(float)


@st.composite
def scarce(draw):
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    return (
        draw(arrays(float, rows, elements=PIECES)),
        draw(arrays(float, (rows, columns), elements=PIECES)),
        draw(arrays(int, (rows, columns), elements=st.integers(1, 3))),
    )


@given(scarce())
@settings(max_examples=200, deadline=None)
def test_sharing_gives_all_there_is_in_whole_pieces_and_never_more_than_wanted(case):
    available, wanted, rank = case
    given_out = share_scarce(available, wanted, rank)
    assert (given_out >= 0).all() and (given_out <= wanted).all()
    assert (given_out == np.rint(given_out)).all()
    assert (given_out.sum(axis=1) == np.minimum(available, wanted.sum(axis=1))).all()


@given(scarce())
@settings(max_examples=200, deadline=None)
def test_a_later_rank_gets_nothing_before_the_earlier_one_is_satisfied(case):
    available, wanted, rank = case
    given_out = share_scarce(available, wanted, rank)
    for row in range(len(available)):
        for group in (2, 3):
            if given_out[row][rank[row] == group].sum() > 0:
                earlier = rank[row] < group
                assert (given_out[row][earlier] == wanted[row][earlier]).all()


@given(scarce())
@settings(max_examples=100, deadline=None)
def test_shares_within_a_rank_stay_within_a_piece_of_the_proportion(case):
    available, wanted, _ = case
    given_out = share_scarce(available, wanted, np.ones(wanted.shape, dtype=int))
    total = wanted.sum(axis=1, keepdims=True)
    exact = wanted * np.minimum(
        1.0, np.divide(available[:, None], total, out=np.ones_like(total), where=total > 0)
    )
    assert (np.abs(given_out - exact) < 1 + 1e-6).all()


@given(scarce())
@settings(max_examples=100, deadline=None)
def test_matching_keeps_the_sums_of_givers_and_receivers(case):
    available, wanted, rank = case
    excess = np.repeat(available[:, None], 3, axis=1)
    taken = share_scarce(excess.sum(axis=1), wanted, rank)
    flow = match_excess(excess, taken)
    assert np.allclose(flow.sum(axis=1), taken)
    assert (flow.sum(axis=2) <= excess + 1e-9).all()


def test_orders_are_multiples_of_the_pack_and_at_least_the_minimum():
    size = order_size([0, 1, 7, 3, 0.0], [5, 5, 5, 1, 1], [2, 2, 2, 1, 6], [1, 1, 1, 10, 1])
    assert size.tolist() == [0, 6, 8, 10, 0]


def test_rounding_errors_do_not_cost_a_piece():
    assert whole_pieces([0.3 * 10, 2.9999999, 2.9, -1.2]).tolist() == [3, 3, 2, 0]
    assert order_size([0.1 * 30], [1], [3]).tolist() == [3]
