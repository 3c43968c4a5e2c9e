"""Command line of planners' overrides: add, list, withdraw; and the plan that a new one follows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from spareplan.cli_store import DEFAULT_STORE, Store, Who
from spareplan.errors import DataError, Problem
from spareplan.screen import out, show

SHOWN = [
    "override",
    "status",
    "cell",
    "scope",
    "value",
    "who",
    "when",
    "why",
    "until",
    "entered",
    "withdrawn",
]

app = typer.Typer(help="Planners' numbers: they survive every run until they expire or are withdrawn.")


@app.command()
def add(
    table: Annotated[str, typer.Option(help="parts, demand, grades, levels, orders or crew")] = "",
    column: Annotated[str, typer.Option(help="such as mean, base_stock, quantity")] = "",
    value: Annotated[str, typer.Option(help="the planner's number or word")] = "",
    who: Who = "",
    why: Annotated[str, typer.Option(help="the reason")] = "",
    part: Annotated[str | None, typer.Option(help="part id; all when left out")] = None,
    site: Annotated[str | None, typer.Option(help="site id; all when left out")] = None,
    region: Annotated[str | None, typer.Option(help="region id; all when left out")] = None,
    month: Annotated[str | None, typer.Option(help="such as 2026-03; all when left out")] = None,
    until: Annotated[str | None, typer.Option(help="last day it counts; for ever when left out")] = None,
    when: Annotated[str | None, typer.Option(help="day it was decided; today when left out")] = None,
    file: Annotated[Path | None, typer.Option(help="read overrides from a .csv or .xlsx file")] = None,
    data: Annotated[
        str | None, typer.Option(help="check ids against this dataset, not the newest version")
    ] = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Keep an override, or a file of them, for the next run; bad ones are refused by row and column."""
    import pandas as pd

    from spareplan.store import PlanStore
    from spareplan.tables.io import read_dataset

    row = {
        "table": table,
        "column": column,
        "part_id": part,
        "site_id": site,
        "region_id": region,
        "month": month,
        "value": value,
        "who": who,
        "why": why,
        "expires_on": until,
    }
    rows = file if file else pd.DataFrame([row | ({"when": when} if when else {})])
    dataset = read_dataset(data) if data else None
    numbers = PlanStore(store).add_overrides(rows, by=who, data=dataset)
    told = ", ".join(map(str, numbers)) or "none, all are held already"
    out.print(f"Overrides entered: {told}.", markup=False)


@app.command("list")
def list_all(
    every: Annotated[bool, typer.Option("--all", help="also those expired and withdrawn")] = False,
    csv: Annotated[Path | None, typer.Option(help="write all of them to this CSV")] = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """List the overrides that the store holds."""
    import pandas as pd

    from spareplan.store import PlanStore
    from spareplan.tables.scopes import scope_words

    plans = PlanStore(store)
    table = plans.overrides()
    table.insert(1, "status", plans.override_status(table))
    if csv:
        table.to_csv(csv, index=False, encoding="utf-8-sig")
    kept = table if every else table[table["status"] == "counts"]

    def day(name: str) -> Any:
        return pd.to_datetime(kept[name], utc=True).dt.strftime("%Y-%m-%d").fillna("")

    back = kept["withdrawn_by"].astype(object).where(kept["withdrawn_by"].notna(), "")
    shown = kept.assign(
        cell=kept["table"] + "." + kept["column"],
        scope=[scope_words(row) for _, row in kept.iterrows()],
        when=day("when"),
        until=day("expires_on"),
        entered=day("entered_at"),
        withdrawn=(day("withdrawn_on") + " " + back).str.strip(),
    )
    columns = SHOWN if every else [name for name in SHOWN if name not in ("status", "withdrawn")]
    show(shown[columns], f"{len(kept)} of {len(table)} overrides in {store}")


@app.command()
def withdraw(
    override: Annotated[int, typer.Argument(help="its number in the list", metavar="OVERRIDE")],
    who: Who = "",
    why: Annotated[str, typer.Option(help="the reason")] = "",
    store: Store = DEFAULT_STORE,
) -> None:
    """Take an override back: the next run is without it, the list still shows it."""
    from spareplan.store import PlanStore

    PlanStore(store).withdraw_override(override, who, why)
    out.print(f"Override {override} is withdrawn.")


def plan_before(store: str | None, previous: str) -> tuple[Any, Any]:
    """The plan that a new one follows, and the store it stands in; says which.

    Parameters
    ----------
    store : str, optional
        Address of the plan store.
    previous : str
        A version, "issued" or "none".

    Returns
    -------
    plan : Plan or None
    plans : PlanStore or None
        None where there is no store yet: a refused dataset leaves none behind.

    Raises
    ------
    DataError
        `previous` is no version.
    """
    if previous not in ("issued", "none") and not previous.isdecimal():
        raise DataError(
            [Problem("plan", 0, "--previous", previous, "is no version", "give its number, issued or none")]
        )
    if store is None or not _is_there(store):
        return None, None
    from spareplan.store import PlanStore

    plans = PlanStore(store)
    version = None if previous == "none" else plans.issued() if previous == "issued" else int(previous)
    if version is None:
        out.print("The plan follows no version.", markup=False)
        return None, plans
    before = plans.get(version)
    words = f"The plan follows version {version} ({plans.status(version)}), as of {before.as_of:%Y-%m-%d}."
    out.print(words, markup=False)
    return before, plans


def _is_there(store: str) -> bool:
    """Whether a store may be opened without making one: a server, or a file that exists."""
    head, slashes, path = store.partition(":///")
    return not (slashes and head.startswith("sqlite")) or Path(path).exists()
