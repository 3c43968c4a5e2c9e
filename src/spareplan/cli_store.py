"""Command line of the plan store: versions, approvals, keys, and the service that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spareplan.screen import out, show

DEFAULT_STORE = "sqlite:///plans.db"
Store = Annotated[str, typer.Option(help="plan store", envvar="SPAREPLAN_STORE")]
Version = Annotated[int, typer.Argument(help="version in the plan store", metavar="VERSION")]
Who = Annotated[
    str,
    typer.Option(
        help="your name, for the audit trail", envvar=["SPAREPLAN_USER", "USER"], show_default=False
    ),
]
Note = Annotated[str, typer.Option(help="why")]

app = typer.Typer()


@app.command()
def approve(version: Version, who: Who = "", note: Note = "", store: Store = DEFAULT_STORE) -> None:
    """Approve a draft; it never changes afterwards."""
    from spareplan.store import PlanStore

    PlanStore(store).approve(version, who, note)
    out.print(f"Version {version} is approved.")


@app.command()
def issue(version: Version, who: Who = "", note: Note = "", store: Store = DEFAULT_STORE) -> None:
    """Issue an approved version; the one issued before is superseded."""
    from spareplan.store import PlanStore

    PlanStore(store).issue(version, who, note)
    out.print(f"Version {version} is issued.")


@app.command()
def diff(
    version: Version,
    other: Annotated[int, typer.Argument(help="the version to compare it with", metavar="OTHER")],
    store: Store = DEFAULT_STORE,
    csv: Annotated[Path | None, typer.Option(help="write all changes to this CSV")] = None,
) -> None:
    """Say what changes from one version to another."""
    from spareplan.store import PlanStore

    changes = PlanStore(store).diff(version, other)
    if csv:
        changes.to_csv(csv, index=False, encoding="utf-8-sig")
    show(changes.head(40), f"{len(changes):,} changes from version {version} to {other}")


@app.command("list")
def list_versions(store: Store = DEFAULT_STORE) -> None:
    """List the stored versions, newest first."""
    from spareplan.store import PlanStore

    versions = PlanStore(store).list()
    versions["saved_at"] = versions["saved_at"].dt.strftime("%Y-%m-%d %H:%M")
    show(
        versions[["version", "status", "author", "saved_at", "as_of", "note"]],
        f"{len(versions)} versions in {store}",
    )


@app.command()
def serve(
    store: Store = DEFAULT_STORE,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
) -> None:
    """Serve issued plans over HTTP; tokens are made with `spareplan token`."""
    from spareplan.export.http import serve as run

    run(store, host, port)


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="whose key it is", metavar="NAME")],
    role: Annotated[str, typer.Option(help="hq or region")] = "region",
    region: Annotated[list[str] | None, typer.Option(help="region id; may be given several times")] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="make all keys of this name worthless")] = False,
    store: Store = DEFAULT_STORE,
) -> None:
    """Make a key for the HTTP service (shown once), or revoke those of a name."""
    from spareplan.store import PlanStore

    plans = PlanStore(store)
    if revoke:
        out.print(f"{plans.revoke_tokens(name)} keys of {name} are worthless now.", markup=False)
    else:
        out.print(plans.make_token(name, role, tuple(region or ())), markup=False)
