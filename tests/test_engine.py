"""The same work gives the same result wherever it runs."""

from __future__ import annotations

import numpy as np
import pytest

import spareplan as sp
from spareplan.engine import run_chunks, split_evenly


def squares(positions: np.ndarray) -> list[int]:
    return [int(p) ** 2 for p in positions]


@pytest.mark.parametrize("engine", ["local", "processes"])
@pytest.mark.parametrize("workers", [1, 3])
def test_results_do_not_depend_on_engine_or_workers(engine: str, workers: int) -> None:
    told: list[tuple[int, int]] = []
    parts = run_chunks(
        squares, split_evenly(101, workers), engine, workers, lambda done, total: told.append((done, total))
    )
    assert [value for part in parts for value in part] == [n**2 for n in range(101)]
    assert told[-1][0] == told[-1][1] == len(parts)


def test_a_dask_cluster_gives_the_same_result() -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        dashboard_address=None,
        protocol="tcp",
        host="127.0.0.1",
    ) as cluster:
        parts = run_chunks(squares, split_evenly(20, 2), cluster.scheduler_address)
    assert [value for part in parts for value in part] == [n**2 for n in range(20)]


def test_an_unknown_engine_is_refused_by_name() -> None:
    with pytest.raises(sp.DataError, match="is no engine"):
        run_chunks(squares, split_evenly(3), "spark")


def test_few_items_make_few_chunks() -> None:
    assert len(split_evenly(2, 8)) == 2
    assert sum(map(len, split_evenly(0, 8))) == 0
