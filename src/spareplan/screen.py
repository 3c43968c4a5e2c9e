"""What the command line writes on the screen: notes, tables, progress with the time left."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from spareplan.errors import DataError, Problem

out = Console(highlight=False, soft_wrap=True)
PIPE_WIDTH = 400
WHOLE_FROM = 1000
err = Console(stderr=True, highlight=False, soft_wrap=True)


def report(result: Any, shown: Any, title: str, csv: Path | None) -> None:
    """Print the summary of a result and a table, and write all its rows to a CSV that Excel opens.

    Parameters
    ----------
    result : Result
        With `table` and `summary()`.
    shown : DataFrame
        Rows for the screen.
    title : str
    csv : Path, optional
        None: nothing is written.
    """
    if csv:
        result.table.to_csv(csv, index=False, encoding="utf-8-sig")
    out.print(result.summary(), markup=False)
    show(shown, title)


@contextmanager
def progress(title: str) -> Iterator[Any]:
    """A bar with the step at hand and the time left, on stderr; silent where stderr is no terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(title, total=1)

        def tell(step: str, done: int, total: int) -> None:
            bar.update(task, description=step, completed=done, total=total)

        yield tell


def show(frame: Any, title: str) -> None:
    """Print a frame as a table, numbers to the right."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold")
    for name in frame.columns:
        table.add_column(str(name), justify="right" if frame[name].dtype.kind in "if" else "left")
    for row in frame.itertuples(index=False):
        table.add_row(*(_cell(value) for value in row))
    # A file or a pipe has no edge: nothing is cut off there.
    wide = out if out.is_terminal else Console(file=out.file, highlight=False, width=PIPE_WIDTH)
    wide.print(table)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if not isinstance(value, float):
        return str(value)
    # Money of six digits is no place for an exponent.
    return f"{value:,.0f}" if abs(value) >= WHOLE_FROM else f"{value:.4g}"


def refuse(error: DataError) -> None:
    """Say why data are refused, problem by problem.

    Parameters
    ----------
    error : DataError
    """
    total = len(error.problems)
    err.print(f"{total:,} problem{'s' if total != 1 else ''}, nothing was written:", style="bold red")
    for row in error.problems.head(100).itertuples(index=False):
        err.print(f"  {Problem(*row)}", markup=False)
    if total > 100:
        err.print(f"  ... and {total - 100:,} more; see them all with --problems FILE")


@contextmanager
def problems_to(path: Path | None) -> Iterator[None]:
    """Also write the problems of a refused dataset to a CSV that Excel opens."""
    try:
        yield
    except DataError as error:
        if path:
            error.problems.to_csv(path, index=False, encoding="utf-8-sig")
            err.print(f"all problems are in {path}", markup=False)
        raise
