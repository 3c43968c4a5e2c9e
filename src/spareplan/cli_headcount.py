"""Command line of the head count: all regions or one, from data or from a stored version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from spareplan.cli_store import DEFAULT_STORE, Store
from spareplan.errors import DataError, Problem
from spareplan.screen import out, problems_to, progress, show

PICTURES = (".png", ".pdf", ".svg")
# Columns for the screen; files carry all of them.
SHOWN = {
    "engineers_regions": (
        "region_id", "month", "machines", "machines_per_engineer", "required", "present", "gap", "decides",
        "cause", "hire", "train", "lent_in", "lent_out",
    ),
    "engineers_moves": ("region_id", "month", "skill", "action", "people", "cost", "other_region_id"),
    "engineers_shortages": ("region_id", "month", "skill", "people", "cost", "reason"),
    "engineers_repair_cures": ("region_id", "priority", "repair_hours_now", "repair_hours_needed", "reason"),
    "engineers_base_cures": ("region_id", "priority", "base", "latitude", "longitude", "reason"),
    "engineers_nights": ("priority", "served", "off_shift_share", "best_share", "target", "reason"),
    "engineers_marginal": ("region_id", "engineers", "orders_more_per_year", "money_per_order", "reason"),
    "engineers_alternatives": ("name", "cost", "short_person_months", "hired", "trained", "reason"),
}  # fmt: skip
MOST_SHOWN = 15
# What binds for longer stands first.
MOVES = ("hire", "train", "release", "move", "move_out", "lend", "lend_out", "squad", "overtime")

app = typer.Typer()


@app.command()
def headcount(
    data: Annotated[
        str | None, typer.Argument(help="a dataset; left out with --plan", metavar="DATA")
    ] = None,
    plan: Annotated[
        int | None, typer.Option("--plan", help="read this version of the plan store instead")
    ] = None,
    region: Annotated[str | None, typer.Option(help="id or name; all regions when left out")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="plan.toml")] = None,
    csv: Annotated[
        Path | None, typer.Option(help="write the head count to this CSV, its other tables beside it")
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(help="draw required and present by month to this file; map and gains beside it"),
    ] = None,
    language: Annotated[str | None, typer.Option(help="en or zh; otherwise that of plan.toml")] = None,
    store: Store = DEFAULT_STORE,
    problems: Annotated[
        Path | None, typer.Option("--problems", help="also write the problems to this CSV")
    ] = None,
) -> None:
    """Say how many engineers each region needs, has, hires, trains and lends, and what people do not cure."""
    if (data is None) == (plan is None):
        raise typer.BadParameter("name a dataset, or a stored version with --plan", param_hint="DATA")
    if language not in (None, "en", "zh"):
        raise typer.BadParameter(f"{language!r} is none of en, zh", param_hint="--language")
    if picture and picture.suffix not in PICTURES:
        raise typer.BadParameter(f"{picture}: name a file that ends in {', '.join(PICTURES)}")
    if plan is not None:
        crew, regions, settings = _stored(plan, store)
    else:
        with problems_to(problems):
            crew, regions, settings = _sized(str(data), config)
    speaks = language or settings.language
    wanted = None if region is None else _region(region, regions)
    sheets = _sheets(crew, wanted)
    if wanted is None:
        out.print(crew.summary(), markup=False)
    else:
        _tell_region(sheets, wanted)
    _show(sheets, speaks)
    if csv:
        _write(sheets, csv)
    if picture:
        _draw(crew, wanted, picture, speaks)


def _stored(version: int, store: str) -> tuple[Any, Any, Any]:
    from spareplan.errors import StoreError
    from spareplan.store import PlanStore

    kept = PlanStore(store).get(version)
    if kept.crew is None:
        raise StoreError(f"version {version} has no head count; it was left out when the plan was made")
    return kept.crew, kept.inputs["regions"], kept.config


def _sized(source: str, config: Path | None) -> tuple[Any, Any, Any]:
    from spareplan import overrides as planners
    from spareplan.classify import grade_parts
    from spareplan.config import PlanConfig, read_config
    from spareplan.forecast.demand import forecast_demand
    from spareplan.staffing.headcount import can_size, size_headcount
    from spareplan.stocking.levels import optimize_levels
    from spareplan.tables.io import read_dataset

    settings = read_config(config) if config else PlanConfig()
    with progress("head count") as tell:
        tell("reading", 0, 4)
        data = read_dataset(source)
        if missing := can_size(data):
            raise DataError([Problem("work_orders", 0, "", "", missing, "give the tables named")])
        as_of = data.as_of(settings.as_of)
        data, _ = planners.gather_overrides(data, None, None)
        data = planners.apply_to_parts(data, as_of)
        tell("forecast", 1, 4)
        demand = forecast_demand(data, months=settings.months, as_of=as_of, options=settings.forecast)
        demand = planners.apply_to_demand(demand, data, as_of, None)
        tell("stock levels", 2, 4)
        grades = grade_parts(data, demand, thresholds=settings.thresholds)
        levels = optimize_levels(
            data,
            demand,
            planners.apply_to_grades(grades, data, as_of),
            budget=settings.budget,
            fixed=planners.fixed_levels(data, as_of, demand.table["part_id"]),
            options=settings.stocking,
            bounds=planners.level_bounds(data, as_of, demand.table["part_id"]),
        )
        tell("head count", 3, 4)
        crew = size_headcount(
            data,
            demand,
            levels,
            as_of=as_of,
            months=settings.months,
            options=settings.staffing,
            seed=settings.seed,
        )
        return planners.apply_to_crew(crew, data, as_of), data.regions, settings


def _region(wanted: str, regions: Any) -> str:
    """Id of a region that is given by id or name."""
    names = dict(zip(regions["region_id"].astype(str), regions["name"].astype(str)))
    found = [region for region, name in names.items() if wanted in (region, name)]
    if len(found) != 1:
        known = ", ".join(f"{region} ({name})" for region, name in names.items())
        raise typer.BadParameter(f"there is no region {wanted!r}; there are {known}", param_hint="--region")
    return found[0]


def _sheets(crew: Any, region: str | None) -> dict[str, Any]:
    """Frames of the export contract with rows, the head count's own table first."""
    from spareplan.export.engineers import cut_engineers, engineer_frames

    frames = engineer_frames(crew)
    if region is None:
        return {"engineers": crew.table, **frames}
    own = crew.table[crew.table["region_id"] == region]
    return {"engineers": own, **cut_engineers(frames, region)}


def _tell_region(sheets: dict[str, Any], region: str) -> None:
    table = sheets["engineers"].groupby("month")[["required", "headcount", "hire", "train"]].sum()
    if table.empty:
        out.print(f"{region}: no engineers are planned", markup=False)
        return
    most = table["required"].idxmax()
    now, need = table["headcount"].iloc[0], table.loc[most, "required"]
    line = f"{region}: {now:.0f} engineers today, {need:.0f} required in {most:%Y-%m}; "
    line += f"hire {table['hire'].sum():.0f}, train {table['train'].sum():.0f}"
    out.print(line, markup=False)
    for reason in sheets["engineers_regions"]["reason"] if "engineers_regions" in sheets else ():
        out.print(reason, markup=False)
    for cure in ("engineers_repair_cures", "engineers_base_cures", "engineers_stock_cures"):
        for reason in sheets[cure]["reason"].unique()[:2] if cure in sheets else ():
            out.print(reason, markup=False)


def _show(sheets: dict[str, Any], language: str) -> None:
    from spareplan.export.workbook import spoken
    from spareplan.language import word

    for name, columns in SHOWN.items():
        if name not in sheets:
            continue
        frame = sheets[name]
        if "action" in frame:
            frame = frame.sort_values("action", key=lambda column: column.map(MOVES.index), kind="stable")
        rows = frame[[column for column in columns if column in frame]].head(MOST_SHOWN).copy()
        for column in rows.select_dtypes("datetime").columns:
            rows[column] = rows[column].dt.strftime("%Y-%m")
        more = f" ({MOST_SHOWN} of {len(frame):,})" if len(frame) > MOST_SHOWN else ""
        show(spoken(name, rows, language), word(name, language) + more)


def _write(sheets: dict[str, Any], path: Path) -> None:
    for name, frame in sheets.items():
        stem = path.stem + name.removeprefix("engineers")
        frame.to_csv(path.with_name(f"{stem}{path.suffix}"), index=False, encoding="utf-8-sig")


def _draw(crew: Any, region: str | None, path: Path, language: str) -> None:
    from spareplan import plots

    def save(axes: Any, name: str) -> None:
        axes.figure.savefig(path.with_name(path.stem + name + path.suffix), dpi=120)

    save(plots.plot_month_plan(crew, region, language=language), "")
    if region is not None:
        return
    for name, draw in (("_map", plots.plot_regions_map), ("_one_more", plots.plot_one_more)):
        try:
            save(draw(crew, language=language), name)
        except DataError as error:
            out.print(f"not drawn: {error}", markup=False)
