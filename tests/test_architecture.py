"""The import star: a stage imports only the foundation; plan.py alone knows them all."""

from __future__ import annotations

import ast
from pathlib import Path

import spareplan

ROOT = Path(spareplan.__file__).parent
FOUNDATION = {"__version__", "errors", "_lazy", "maths", "tables", "results", "config", "options", "engine"}
FOUNDATION |= {"language"}
# Edges may know plan.py, the store and the exports; results ask for words when they are to explain.
KNOWS_ALL = {"plan", "cli", "cli_headcount", "cli_overrides", "cli_store", "cli_wishes", "__main__"}
LAZY_FACES = {"__init__"}
STORE = ("store", "pieces", "database", "ledger", "keys")


def imports_of(path: Path) -> set[str]:
    """First module below spareplan of every import in a file, at any depth, but not under TYPE_CHECKING."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    skip: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            skip.update(ast.walk(node))
    for node in ast.walk(tree):
        if node in skip:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("spareplan"):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("spareplan.")}
    return found


def stage_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def test_a_stage_imports_only_the_foundation() -> None:
    strays = {}
    for path in sorted(ROOT.rglob("*.py")):
        stage = stage_of(path)
        if stage in KNOWS_ALL or path.stem in LAZY_FACES or stage == "results":
            continue
        stray = imports_of(path) - FOUNDATION - {stage}
        if stage in ("export", *STORE):
            stray -= {"export", *STORE}
        if stray:
            strays[str(path.relative_to(ROOT))] = sorted(stray)
    assert strays == {}


def test_the_foundation_imports_no_stage() -> None:
    stages = {
        "forecast",
        "stocking",
        "staffing",
        "classify",
        "export",
        "store",
        "plan",
        "overrides",
        "feedback",
    }
    for path in sorted(ROOT.rglob("*.py")):
        if stage_of(path) in FOUNDATION - {"_lazy", "results"}:
            assert not imports_of(path) & stages, path


def test_every_name_of_the_contract_can_be_imported() -> None:
    names = "read_dataset forecast_demand grade_parts optimize_levels simulate_levels plan_replenishment"
    names += " size_headcount make_plan compare_plans export_plan PlanStore PlanConfig Thresholds forecast"
    names += " stocking staffing backtest_demand"
    assert [name for name in names.split() if not hasattr(spareplan, name)] == []
    plain = {
        spareplan.forecast: "fit_lifetimes fit_interval_lifetimes fit_recurrent expected_renewals "
        "forecast_history score_quantiles",
        spareplan.stocking: "expected_backorders evaluate_levels solve_levels simulate",
        spareplan.staffing: "erlang_b erlang_c wait_tail servers_needed size_regions simulate_region",
    }
    for module, expected in plain.items():
        assert [name for name in expected.split() if not callable(getattr(module, name))] == []
