"""Times and gaps of the people plan: `python benchmarks/bench_people.py [regions x months ...]`.

One table, for made-up regions with seasons, growth, skills, places, hours of work and inspections: rows and
columns of the program, seconds of the clock and of the processor for the plan and both alternatives together,
cost, bound and gap of the plan, people missing, what the alternatives cost more and how far their bounds are,
and how much dearer a plan is without any help between regions: each hires for itself, on the first day
possible, whatever its fullest month lacks.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from spareplan.config import StaffingOptions
from spareplan.staffing.people_checks import read_case
from spareplan.staffing.people_model import build_model
from spareplan.staffing.sharing import plan_people

SIZES = ((20, 12), (60, 12), (200, 12), (60, 24), (200, 24))


def made_up(regions: int, months: int, seed: int = 5) -> dict:
    generator = np.random.default_rng(seed)
    heads = generator.integers(0, 6, (regions, 3)).astype(float)
    at = np.arange(months)
    season = np.sin(at / 6 * np.pi + generator.uniform(0, 6, (regions, 1, 1)))
    efficiency = np.tile([0.85, 1.0, 1.15], (regions, 1))
    need = (heads * efficiency)[:, :, None] * (1 + 0.02 * at + 0.15 * season)
    need = (need + generator.uniform(-1, 1, (regions, 3, months))).clip(0)
    cost = np.tile([95e3, 145e3, 220e3], (regions, 1)) * generator.uniform(0.8, 1.2, (regions, 1))
    places = generator.uniform(0, 2500, (regions, 2))
    apart = places[:, None] - places[None]
    due = generator.poisson(12, (regions, months)).astype(float)
    work = need.sum(axis=1) * generator.uniform(0.8, 1.1, (regions, months)) * 150 * 0.85
    return {
        "need": need,
        "heads": heads,
        "annual_cost": cost,
        "efficiency": efficiency,
        "distance_km": 1.3 * np.hypot(apart[..., 0], apart[..., 1]),
        "work_hours": np.maximum(work, due * 2.5),
        "paid_hours": np.full(months, 150.0),
        "inspections": due,
        "inspection_hours": 2.5,
        "stage_weight": generator.choice([0.7, 1.0, 1.5], regions),
    }


def naive_cost(case: dict, options: StaffingOptions) -> tuple[float, float]:
    """Each region hires, from the highest skill, what its fullest month lacks: cost, months short."""
    need, worth = case["need"], case["efficiency"]
    months, first = need.shape[2], options.hire_lead_months
    above = np.cumsum(need[:, ::-1], axis=1)[:, ::-1]
    hours = case["work_hours"] / (case["paid_hours"] * options.max_utilisation)
    top = above.max(axis=2)
    top[:, 0] = np.maximum(top[:, 0], hours.max(axis=1))
    hire = np.zeros_like(case["heads"])
    for skill in reversed(range(3)):
        there = (worth * (case["heads"] + hire))[:, skill:].sum(axis=1)
        hire[:, skill] = np.ceil(np.maximum(top[:, skill] - there, 0) / worth[:, skill] - 1e-9)
    people = case["heads"][:, :, None] + hire[:, :, None] * (np.arange(months) >= first)
    output = np.cumsum((worth[:, :, None] * people)[:, ::-1], axis=1)[:, ::-1]
    lacks = np.maximum(above - output, 0)
    lacks[:, 0] = np.maximum(lacks[:, 0], hours - output[:, 0])
    lacks = np.maximum.accumulate(lacks[:, ::-1], axis=1)[:, ::-1]
    short = lacks - np.concatenate([lacks[:, 1:], np.zeros_like(lacks[:, :1])], axis=1)
    wage = case["annual_cost"][:, :, None] / 12
    price = options.shortage_cost_share * wage * case["stage_weight"][:, None, None]
    cost = (wage * people).sum() + (price * short).sum()
    return cost + options.hire_cost_share * (case["annual_cost"] * hire).sum(), float(short.sum())


def main(sizes: tuple[tuple[int, int], ...]) -> None:
    options = StaffingOptions()
    print(
        "| regions x months | rows x columns | s | CPU s | cost | bound | gap | short | hire only (gap) | "
        "train only (gap) | each for itself |\n|" + "---|" * 11
    )
    others = ("efficiency", "distance_km", "work_hours", "paid_hours", "inspections", "inspection_hours")
    for regions, months in sizes:
        case = made_up(regions, months)
        arguments = [case[name] for name in ("need", "heads", "annual_cost")]
        checked, _ = read_case(
            *arguments, options, *(case[n] for n in others), case["stage_weight"], None, None, None
        )
        blocks = build_model(checked).blocks
        clock, begin = time.perf_counter(), time.process_time()
        plan = plan_people(**case, options=options)
        spent, seen = time.process_time() - begin, time.perf_counter() - clock
        naive, missing = naive_cost(case, options)
        told = plan.alternatives.set_index("name")
        more = [
            f"{told.loc[name, 'cost'] / plan.cost - 1:+.1%} "
            f"({told.loc[name, 'cost'] / told.loc[name, 'bound'] - 1:.2%})"
            for name in ("hire only", "train only")
        ]
        print(
            f"| {regions} x {months} | {blocks.height:,} x {blocks.width:,} | {seen:.1f} | {spent:.1f} | "
            f"{plan.cost / 1e6:.2f} M | {plan.bound / 1e6:.2f} M | {plan.gap:.2%} | {plan.short.sum():.0f} | "
            f"{more[0]} | {more[1]} | {naive / plan.cost - 1:+.1%}, {missing:.0f} short |",
            flush=True,
        )


if __name__ == "__main__":
    asked = tuple(tuple(int(n) for n in size.split("x")) for size in sys.argv[1:])
    main(asked or SIZES)
