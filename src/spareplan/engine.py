"""Run the same work here, in processes, or on a Dask cluster: coarse chunks, results in order.

Work is cut into about four chunks per worker, never one task per part. A chunk carries its own seeds, so the
result does not depend on how many workers there are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from spareplan.errors import problem_in_argument

Item = TypeVar("Item")
Out = TypeVar("Out")
CHUNKS_PER_WORKER = 4
DASK = ("tcp://", "tls://")


def run_chunks(
    function: Callable[[Item], Out],
    chunks: Sequence[Item],
    engine: str = "local",
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Out]:
    """Apply a function to each chunk; the results keep the order of the chunks.

    Parameters
    ----------
    function : callable
        Pure; must be importable by name for engines other than "local".
    chunks : sequence
        A few coarse pieces of work.
    engine : str
        "local" (this process), "processes" (joblib's loky) or the address of a Dask scheduler ("tcp://...").
    workers : int, optional
        Processes for "processes"; None: the cores of this machine.
    progress : callable, optional
        Called with (chunks done, all chunks).

    Returns
    -------
    list
        One result per chunk.

    Raises
    ------
    DataError
        The engine is unknown.
    """
    check_engine("run_chunks", engine)
    if engine == "local":
        out = []
        for done, chunk in enumerate(chunks, start=1):
            out.append(function(chunk))
            if progress:
                progress(done, len(chunks))
        return out
    if engine == "processes":
        from joblib import Parallel, delayed

        pool = Parallel(n_jobs=workers or os.cpu_count() or 1, return_as="generator")
        return _collect(pool(delayed(function)(chunk) for chunk in chunks), len(chunks), progress)
    from distributed import Client

    with Client(engine) as client:
        futures = client.map(function, list(chunks), pure=False)
        return _collect((future.result() for future in futures), len(chunks), progress)


def check_engine(where: str, engine: str) -> None:
    """Refuse a name that is no engine.

    Parameters
    ----------
    where : str
        Function whose argument it is.
    engine : str

    Raises
    ------
    DataError
        The engine is unknown.
    """
    if engine not in ("local", "processes") and not str(engine).startswith(DASK):
        raise problem_in_argument(
            where,
            "engine",
            engine,
            "is no engine",
            "use local, processes or the address of a Dask scheduler (tcp://host:port)",
        )


def split_evenly(count: int, workers: int | None = None) -> list[NDArray[np.int64]]:
    """Cut 0..count-1 into about four runs of positions per worker.

    Parameters
    ----------
    count : int
        Number of items.
    workers : int, optional
        None: the cores of this machine.

    Returns
    -------
    list of ndarray of int
    """
    pieces = min(max(count, 1), CHUNKS_PER_WORKER * (workers or os.cpu_count() or 1))
    return [np.asarray(part) for part in np.array_split(np.arange(count), pieces)]


def _collect(results: Any, total: int, progress: Callable[[int, int], None] | None) -> list[Any]:
    out = []
    for result in results:
        out.append(result)
        if progress:
            progress(len(out), total)
    return out
