"""Seeded made-up fleets: the two shipped samples, and networks of any size for scale tests.

The lives behind a sample are known and kept beside it in the subfolder `truth`, no part of the dataset.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from spareplan.errors import problem_in_argument
from spareplan.tables.samples_delivery_pump import delivery_pump
from spareplan.tables.samples_facts import Sample
from spareplan.tables.samples_network import network
from spareplan.tables.samples_overseas_rail import overseas_rail

SHIPPED_SEED = 2026
MOST_CSV_ROWS = 200_000
_MOMENTS = ("opened_at", "responded_at", "resolved_at")
_KINDS = ("delivery_pump", "overseas_rail", "network")
_NETWORK = {"parts": 1_000, "sites": 20, "machines": 2_000}


def make_sample(
    folder: str | Path,
    kind: str | None = None,
    parts: int | None = None,
    sites: int | None = None,
    machines: int | None = None,
    seed: int = SHIPPED_SEED,
) -> Path:
    """Write a made-up dataset, and the truth behind it, to a folder.

    Parameters
    ----------
    folder : path
        Made if it does not exist; an older sample of the same kind and format is replaced.
    kind : {"delivery_pump", "overseas_rail", "network"}, optional
        None: "network" if a size is given, else "delivery_pump". The first two are the shipped samples.
    parts, sites, machines : int, optional
        Size of a "network" (1,000 parts, 20 sites, 2,000 machines); the other kinds have their own.
    seed : int
        Same seed, same files.

    Returns
    -------
    Path
        The folder. Up to 200,000 rows in all the tables are CSV, more are Parquet.

    Raises
    ------
    DataError
        Unknown kind, a size below its least, a size for a kind that has its own, a negative seed, or a folder
        that holds other tables.
    """
    sample = sample_tables(kind, parts, sites, machines, seed)
    target = Path(folder)
    suffix = ".parquet" if sum(map(len, sample.tables.values())) > MOST_CSV_ROWS else ".csv"
    files = {target / f"{name}{suffix}": frame for name, frame in sample.tables.items()}
    files |= {target / "truth" / f"{name}{suffix}": frame for name, frame in sample.truth.items()}
    present = [*target.glob("*.csv"), *target.glob("*.parquet"), *target.glob("*.xlsx")]
    strange = sorted(path.name for path in present if path not in files)
    if strange:
        raise problem_in_argument(
            "make_sample",
            "folder",
            folder,
            f"holds other tables ({', '.join(strange)})",
            "give an empty folder",
        )
    (target / "truth").mkdir(parents=True, exist_ok=True)
    for path, frame in files.items():
        _write(frame, path)
    return target


def sample_tables(
    kind: str | None = None,
    parts: int | None = None,
    sites: int | None = None,
    machines: int | None = None,
    seed: int = SHIPPED_SEED,
) -> Sample:
    """Make a sample without writing it (parameters and errors as in `make_sample`).

    Parameters
    ----------
    kind, parts, sites, machines, seed
        See `make_sample`.

    Returns
    -------
    Sample
        `.tables` and `.truth`, each a dict from table name to frame.
    """
    sizes = {"parts": parts, "sites": sites, "machines": machines}
    given = {name: size for name, size in sizes.items() if size is not None}
    kind = kind or ("network" if given else "delivery_pump")
    if kind not in _KINDS:
        raise problem_in_argument(
            "make_sample", "kind", kind, "is no kind of sample", f"use {', '.join(_KINDS)}"
        )
    if seed < 0:
        raise problem_in_argument("make_sample", "seed", seed, "is negative", "use 0 or above")
    if kind != "network" and given:
        name, size = next(iter(given.items()))
        raise problem_in_argument(
            "make_sample", name, size, f"is fixed for {kind}", 'leave it out or use kind="network"'
        )
    if kind == "network":
        return network(**{**_NETWORK, **given}, seed=seed)
    return overseas_rail(seed) if kind == "overseas_rail" else delivery_pump(seed)


def _write(frame: pd.DataFrame, path: Path) -> None:
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
        return
    text = frame.copy()
    for name in text.columns:
        if pd.api.types.is_datetime64_any_dtype(text[name]):
            text[name] = text[name].dt.strftime("%Y-%m-%d %H:%M" if name in _MOMENTS else "%Y-%m-%d")
        elif pd.api.types.is_bool_dtype(text[name]):
            text[name] = text[name].map({True: "true", False: "false"})
    text.to_csv(path, index=False, lineterminator="\n", encoding="utf-8", float_format="%.10g")
