"""The command line: every task as one command; numbers on stdout, problems on stderr.

Exit codes: 0 done, 1 data refused, 2 usage, 3 infeasible as asked, 4 fit, storage, export or solver failure.
Heavy imports stand inside the commands, so that ``spareplan --help`` answers at once.
"""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from spareplan import cli_headcount, cli_overrides, cli_store
from spareplan.cli_overrides import plan_before
from spareplan.cli_store import DEFAULT_STORE, Store, Version, Who
from spareplan.cli_wishes import stocking_wishes
from spareplan.errors import DataError, InfeasibleError, SpareplanError
from spareplan.screen import err, out, problems_to, progress, refuse, report, show

DONE, REFUSED, USAGE, INFEASIBLE, FAILED = range(5)
PICTURES = (".png", ".pdf", ".svg")


class Language(StrEnum):
    """Languages of headers and words."""

    en = "en"
    zh = "zh"


class Cut(StrEnum):
    """What the scores of a back-test are cut by."""

    demand_class = "class"
    region = "region"
    family = "family"
    tier = "tier"
    part = "part"


app = typer.Typer(
    help="Plan spare parts and the engineers who fit them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(cli_store.app)
app.add_typer(cli_headcount.app)
app.add_typer(cli_overrides.app, name="override", no_args_is_help=True)

Data = Annotated[
    str, typer.Argument(help="folder of CSV or Parquet, an .xlsx workbook, or a database URL", metavar="DATA")
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="plan.toml")]
ProblemsFile = Annotated[Path | None, typer.Option("--problems", help="also write the problems to this CSV")]
Drop = Annotated[bool, typer.Option("--drop-bad-rows", help="leave bad rows out instead of refusing")]


@app.command()
def check(data: Data, problems: ProblemsFile = None) -> None:
    """Check a dataset: every problem with table, row, column, value and remedy."""
    from spareplan.tables.io import read_dataset

    with problems_to(problems):
        dataset = read_dataset(data)
    rows = ", ".join(f"{name} {len(dataset.tables[name]):,}" for name in sorted(dataset.given))
    out.print(f"{data}: no problems. Rows: {rows}")
    for note in dataset.notes.itertuples(index=False):
        out.print(f"note: {note.table}: {note.note}", markup=False)


@app.command()
def plan(
    data: Data,
    config: ConfigFile = None,
    out_folder: Annotated[Path | None, typer.Option("--out", help="write regional workbooks here")] = None,
    store: Annotated[str | None, typer.Option(help="keep the plan here, such as sqlite:///plans.db")] = None,
    previous: Annotated[
        str, typer.Option(help="plan before, in the store: a version, issued or none", metavar="VERSION")
    ] = "issued",
    author: Who = "planner",
    cap: Annotated[
        list[str] | None,
        typer.Option(help="most money in base stock of a region; may be repeated", metavar="REGION=MONEY"),
    ] = None,
    change_must_save: Annotated[
        float | None,
        typer.Option(min=0, max=10, help="pieces' holding cost that a changed level must save; 0: anything"),
    ] = None,
    language: Annotated[Language | None, typer.Option(help="otherwise that of plan.toml")] = None,
    drop: Drop = False,
    problems: ProblemsFile = None,
) -> None:
    """Run the whole month and say what came out."""
    wishes = stocking_wishes(cap, change_must_save)
    with problems_to(problems):
        made = _run_plan(data, config, drop, language, store, previous, wishes)
    out.print(made.summary(), markup=False)
    if store:
        from spareplan.store import PlanStore

        version = PlanStore(store).save(made, author=author)
        out.print(f"Kept as version {version} (draft) in {store}.", markup=False)
    if out_folder:
        _export(made, out_folder, None, "xlsx", made.config.language)


@app.command()
def export(
    version: Version,
    region: Annotated[str | None, typer.Option(help="id or name; all and HQ when left out")] = None,
    format: Annotated[str, typer.Option(help="xlsx, csv, parquet or json")] = "xlsx",
    out_folder: Annotated[Path, typer.Option("--out", help="folder")] = Path("out"),
    language: Annotated[Language | None, typer.Option(help="otherwise that of the plan")] = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Write a stored version for one region, or for all and HQ."""
    from spareplan.store import PlanStore

    _export(PlanStore(store).get(version), out_folder, region, format, language and language.value)


@app.command()
def compare(
    data: Data,
    scenarios: Annotated[
        list[Path], typer.Argument(help="one plan.toml per scenario", metavar="SCENARIO.toml...")
    ],
    csv: Annotated[Path | None, typer.Option(help="write the figures to this CSV")] = None,
) -> None:
    """Run several scenarios on the same data and show them side by side."""
    from spareplan.config import read_config
    from spareplan.plan import compare_plans, make_plan
    from spareplan.tables.io import read_dataset

    configs = {path.stem: read_config(path) for path in scenarios}
    dataset = read_dataset(data)
    plans = {}
    for name, settings in configs.items():
        with progress(name) as tell:
            plans[name] = make_plan(dataset, settings, progress=tell)
    figures = compare_plans(plans).reset_index()
    if csv:
        figures.to_csv(csv, index=False, encoding="utf-8-sig")
    show(figures, "Scenarios side by side")


@app.command()
def simulate(
    version: Version,
    data: Annotated[str, typer.Option(help="the dataset the version was made from")],
    years: Annotated[int, typer.Option(min=1, help="length of the simulation")] = 50,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    store: Store = DEFAULT_STORE,
) -> None:
    """Doubt a stored version: play its levels for years and compare with the promises."""
    from spareplan.stocking.simulation import simulate_levels
    from spareplan.store import PlanStore
    from spareplan.tables.io import read_dataset

    stored = PlanStore(store).get(version)
    result = simulate_levels(read_dataset(data), stored.demand, stored.levels, years=years, seed=seed)
    out.print(result.summary(), markup=False)
    show(result.table.sort_values("kept", kind="stable").head(40), "Promised against simulated")


@app.command()
def accuracy(
    version: Version,
    data: Annotated[
        str | None, typer.Argument(help="a dataset that holds what really happened", metavar="DATA")
    ] = None,
    data_option: Annotated[str | None, typer.Option("--data", hidden=True)] = None,
    by: Annotated[str, typer.Option(help="total, region, part, who or month")] = "region",
    language: Annotated[Language | None, typer.Option(help="otherwise that of the plan")] = None,
    store: Store = DEFAULT_STORE,
    csv: Annotated[Path | None, typer.Option(help="write the comparison to this CSV")] = None,
) -> None:
    """Compare a stored plan with what really happened, and say what follows for the next run."""
    from spareplan.feedback import corrections_from, score_plan
    from spareplan.language import word
    from spareplan.store import PlanStore
    from spareplan.tables.io import read_dataset

    source = data or data_option
    if source is None:
        raise typer.BadParameter("name the dataset that holds what really happened", param_hint="DATA")
    if by not in ("total", "region", "part", "who", "month"):
        raise typer.BadParameter(f"{by!r} is none of total, region, part, who, month", param_hint="--by")
    plans = PlanStore(store)
    stored, records = plans.get(version), read_dataset(source)
    score = score_plan(stored, records)
    speaks = language.value if language else stored.config.language
    out.print(score.note(speaks, corrections_from(plans, records)), markup=False)
    if csv:
        (score.planners if by == "who" else score.table).to_csv(csv, index=False, encoding="utf-8-sig")
    show(score.shown(by, speaks).head(40), word("actuals", speaks))


@app.command()
def backtest(
    data: Data,
    origins: Annotated[int, typer.Option(min=1, help="how many past days to forecast from")] = 4,
    days: Annotated[int, typer.Option(min=7, help="length of each forecast, in days")] = 91,
    by: Annotated[Cut, typer.Option(help="rows of the scores from history")] = Cut.demand_class,
    csv: Annotated[
        Path | None,
        typer.Option(help="write every forecast and what came here; scores, parts and losers beside it"),
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="draw the scores from history to this file")] = None,
    language: Annotated[Language, typer.Option(help="of the picture")] = Language.en,
) -> None:
    """Forecast from past days and compare with what came, beside naive forecasts; say what loses to them."""
    from spareplan.forecast import backtest_demand, backtest_fleet
    from spareplan.maths.units import DAYS_PER_MONTH
    from spareplan.tables.io import read_dataset

    if picture and picture.suffix not in PICTURES:
        raise typer.BadParameter(f"{picture}: name a file that ends in {', '.join(PICTURES)}")
    months = max(round(days / DAYS_PER_MONTH), 1)
    with progress("back-test") as tell:
        tell("reading", 0, 3)
        dataset = read_dataset(data)
        machines = bool(len(dataset.units) and len(dataset.replacements))
        tell("from machines", 1, 3)
        fleet = backtest_fleet(dataset, origins=origins, days=days) if machines else None
        tell("from history", 2, 3)
        try:
            history = backtest_demand(dataset, periods=months, origins=origins)
        except DataError as error:
            # Few months may do for machines with their ages and not for sums of months.
            if fleet is None or picture:
                raise
            history = None
            err.print(f"no scores from history: {error}", markup=False)
    if fleet is not None:
        report(fleet, fleet.scores("part_class"), "From machines, by failures known before", csv)
    if history is None:
        return
    if csv:
        if not machines:
            history.forecasts.to_csv(csv, index=False, encoding="utf-8-sig")
        for name, table in (("scores", history.table), ("parts", history.parts), ("losers", history.losers)):
            beside = csv.with_name(f"{csv.stem}_{name}.csv")
            table.to_csv(beside, index=False, encoding="utf-8-sig")
    out.print(history.summary(), markup=False)
    show(history.shown(by.value).head(40), f"From history, sums of {months} months by {by.value}")
    if len(history.losers):
        show(history.worst(10), "Worse than naive, worst first")
    if picture:
        from spareplan.plots import plot_accuracy

        plot_accuracy(history, language.value).savefig(picture, dpi=120)


@app.command()
def lastbuys(
    data: Data,
    risk: Annotated[float, typer.Option(help="accepted chance of ever running short")] = 0.05,
    csv: Annotated[Path | None, typer.Option(help="write the quantities to this CSV")] = None,
) -> None:
    """Say how many pieces of parts that end keep the remaining machines running."""
    from spareplan.forecast import last_buys
    from spareplan.tables.io import read_dataset

    result = last_buys(read_dataset(data), risk=risk)
    report(result, result.table.drop(columns="reason"), "Last buys", csv)


@app.command()
def sample(
    folder: Annotated[Path, typer.Argument(help="folder to write", metavar="DIR")],
    kind: Annotated[str, typer.Option(help="network, delivery_pump or overseas_rail")] = "network",
    parts: Annotated[int | None, typer.Option(min=2, help="of a network; 1,000 if left out")] = None,
    sites: Annotated[int | None, typer.Option(min=2, help="of a network; 20 if left out")] = None,
    machines: Annotated[int | None, typer.Option(min=1, help="of a network; 2,000 if left out")] = None,
    seed: Annotated[int, typer.Option(min=0, help="2026 made the shipped samples")] = 2026,
) -> None:
    """Make up a dataset of any size from a seed."""
    from spareplan.tables.samples import make_sample

    make_sample(folder, kind=kind, parts=parts, sites=sites, machines=machines, seed=seed)
    out.print(f"A {kind} dataset is in {folder}; look at it with: spareplan check {folder}", markup=False)


@app.command()
def config() -> None:
    """Print a plan.toml with every assumption, its unit and its default."""
    from spareplan.config import config_text

    sys.stdout.write(config_text())


@app.command()
def demo(
    out_folder: Annotated[Path, typer.Option("--out", help="folder for the results")] = Path("out"),
    data: Annotated[Path, typer.Option(help="sample dataset")] = Path("data/samples/delivery_pump"),
) -> None:
    """Run the main job on the sample data and name the results."""
    from spareplan.store import PlanStore

    started = time.perf_counter()
    made = _run_plan(str(data), None, False, None)
    out_folder.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{out_folder / 'plans.db'}"
    version = PlanStore(url).save(made, author="demo")
    files = _export(made, out_folder, None, "xlsx", None, quiet=True)
    out.print()
    out.print(made.summary(), markup=False)
    out.print(
        f"\nVersion {version} is kept in {out_folder / 'plans.db'}; {len(files)} workbooks are in "
        f"{out_folder}/, "
        f"such as {files[0]} and {files[-1]} ({time.perf_counter() - started:.0f} s).",
        markup=False,
    )
    out.print(
        f"Next: open a workbook; .venv/bin/spareplan list --store {url}; "
        "notebooks/01_monthly_forecast.ipynb; "
        "docs/tutorial.md",
        markup=False,
    )


def main() -> None:
    """Run the command line and turn refusals into exit codes."""
    try:
        app(standalone_mode=False)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except DataError as error:
        refuse(error)
        sys.exit(REFUSED)
    except InfeasibleError as error:
        err.print(f"not possible as asked: {error}", markup=False, style="red")
        sys.exit(INFEASIBLE)
    except SpareplanError as error:
        err.print(str(error), markup=False, style="red")
        sys.exit(FAILED)
    except (KeyboardInterrupt, typer.Abort):
        err.print("interrupted; nothing was left half done")
        sys.exit(130)
    except Exception as error:
        # Click raises its own usage errors, which know how to show themselves.
        if hasattr(error, "show") and hasattr(error, "exit_code"):
            error.show()
            sys.exit(USAGE)
        raise


def _run_plan(
    data: str,
    config: Path | None,
    drop: bool,
    language: Language | None,
    store: str | None = None,
    previous: str = "none",
    wishes: dict[str, Any] | None = None,
) -> Any:
    from dataclasses import replace

    from spareplan.config import PlanConfig, read_config
    from spareplan.plan import make_plan
    from spareplan.tables.io import read_dataset

    settings = read_config(config) if config else PlanConfig()
    if language:
        settings = replace(settings, language=language.value)
    if wishes:
        settings = replace(settings, stocking=replace(settings.stocking, **wishes))
    with progress("plan") as tell:
        tell("reading", 0, 1)
        dataset = read_dataset(data, on_bad_rows="drop" if drop else "raise")
        before, plans = plan_before(store, previous)
        return make_plan(dataset, settings, progress=tell, previous=before, history=plans)


def _export(
    plan: Any, folder: Path, region: str | None, format: str, language: str | None, quiet: bool = False
) -> list[Path]:
    from spareplan.export.writers import export_plan

    files = export_plan(plan, folder, region=region, format=format, language=language)
    if not quiet:
        for path in files:
            out.print(str(path), markup=False)
    return files


if __name__ == "__main__":
    main()
