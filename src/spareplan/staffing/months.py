"""Search the months of many regions together: what one month tells about another is not simulated again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spareplan.staffing.looks import Chances, Searched
from spareplan.staffing.search import in_threads, search_row

IntArray = NDArray[np.int64]
# Months of a region are compared by their load if the shares of the classes differ by less.
SAME_MIX = 0.05


class MonthsFound(NamedTuple):
    """Result of `search_months`, in the order of the jobs.

    Parameters
    ----------
    searched : list of Searched
        `orders` counts what was simulated for the month itself, 0 where other months tell all.
    told_by : ndarray of int, shape (jobs,)
        The month in whose orders the number was seen to keep the promises; the month itself where it was
        looked at with that number.
    """

    searched: list[Searched]
    told_by: IntArray


def search_months(
    jobs: Sequence[Mapping[str, Any]], region: ArrayLike, threads: int | None = None
) -> MonthsFound:
    """Least engineers of every month, by simulation (`spareplan.staffing.search.search_row`).

    Parameters
    ----------
    jobs : sequence of mappings
        Arguments of `search_row`, a mapping per region and month; the same place, duty and seed for all
        months of a region.
    region : array-like, shape (jobs,)
        Which region a job belongs to.
    threads : int, optional
        None: as many as there are processors. The result is the same for any number.

    Returns
    -------
    MonthsFound

    Notes
    -----
    Months of a region with the same open promises and about the same mix of classes differ by their load
    alone. More load never keeps more: what is enough in a fuller month is enough, what is too few in a
    quieter month is too few. The fullest and the quietest month are searched first, then the middle between
    two months of different numbers, and only the numbers between those.
    """
    names = np.unique(np.asarray(region), return_inverse=True)[1].reshape(-1)
    chains = _chains(jobs, names)
    found = in_threads(_search_chain, [{"jobs": [jobs[i] for i in chain]} for chain in chains], threads)
    searched: dict[int, Searched] = {}
    told_by = np.arange(len(jobs))
    for chain, (results, leads) in zip(chains, found, strict=True):
        searched |= zip(chain, results, strict=True)
        told_by[chain] = np.array(chain)[leads]
    return MonthsFound([searched[i] for i in range(len(jobs))], told_by)


def _search_chain(jobs: Sequence[Mapping[str, Any]]) -> tuple[list[Searched], list[int]]:
    """Search months of one region, the fullest first; also which month tells of each."""
    last, chances = len(jobs) - 1, Chances()
    leads = list(range(len(jobs)))
    found = {0: search_row(**jobs[0], chances=chances)}

    def search(place: int, fuller: int, quieter: int | None) -> None:
        full = found[fuller]
        bounds: dict[str, int] = {"enough": full.servers} if full.kept else {}
        # Where no number keeps all, the quieter month says nothing of too few.
        if quieter is not None and found[quieter].kept:
            bounds["floor"] = max(jobs[place].get("floor", 1), found[quieter].servers)
        one = search_row(**{**jobs[place], **bounds, "chances": chances})
        if full.kept and one.servers == full.servers:
            leads[place] = leads[fuller]
            one = full._replace(orders=one.orders)
        found[place] = one

    if last:
        search(last, 0, None)
    between = [(0, last)]
    while between:
        fuller, quieter = between.pop()
        full, quiet = found[fuller], found[quieter]
        if (full.servers, full.kept) == (quiet.servers, quiet.kept):
            for place in range(fuller + 1, quieter):
                found[place], leads[place] = full._replace(orders=0), leads[fuller]
        elif quieter - fuller > 1:
            middle = (fuller + quieter) // 2
            search(middle, fuller, quieter)
            between += [(fuller, middle), (middle, quieter)]
    return [found[place] for place in range(len(jobs))], leads


def _chains(jobs: Sequence[Mapping[str, Any]], region: IntArray) -> list[list[int]]:
    """Months of a region that differ by their load alone, the fullest first."""
    if not jobs:
        return []
    rates = np.array([job["orders"]["orders_per_day"] for job in jobs], dtype=float)
    again = np.array([job["orders"].get("again_share", 0.0 * rates[0]) for job in jobs], dtype=float)
    hours = np.array([job["orders"]["work_hours"] for job in jobs], dtype=float) / (1.0 - again)
    open_ = np.array([np.concatenate(list(job["open_promises"])) for job in jobs])
    load, mix = (rates * hours).sum(axis=1), rates / rates.sum(axis=1, keepdims=True)
    kind = np.unique(open_, axis=0, return_inverse=True)[1].reshape(-1)
    chains: list[list[int]] = []
    for job in np.lexsort((np.arange(len(jobs)), -load, kind, region)):
        head = chains[-1][0] if chains else -1
        alike = head >= 0 and region[job] == region[head] and kind[job] == kind[head]
        if alike and np.abs(mix[job] - mix[head]).max() < SAME_MIX:
            chains[-1].append(int(job))
        else:
            chains.append([int(job)])
    return chains
