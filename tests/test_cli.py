"""The command line: what it says, what it writes, and its exit codes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
TINY = """months = 3
weeks = 2
years = 1
"""


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "spareplan", *map(str, arguments)],
        capture_output=True, text=True, encoding="utf-8", cwd=ROOT, timeout=300,
        env=os.environ | {"PYTHONIOENCODING": "utf-8", "COLUMNS": "160"} | environment,
    )  # fmt: skip


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small made-up network, by the command that makes it."""
    folder = tmp_path_factory.mktemp("cli") / "network"
    done = run("sample", folder, "--parts", 30, "--sites", 4, "--machines", 60, "--seed", 3)
    assert done.returncode == 0, done.stderr
    (folder.parent / "plan.toml").write_text(TINY, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def stored(network: Path) -> str:
    url = f"sqlite:///{network.parent / 'plans.db'}"
    for _ in range(2):
        done = run(
            "plan", network, "--config", network.parent / "plan.toml", "--store", url, "--author", "王伟"
        )
        assert done.returncode == 0, done.stderr
    assert "Kept as version 2 (draft)" in done.stdout and "Money in base stock" in done.stdout
    return url


def test_help_answers_without_the_heavy_libraries() -> None:
    heavy = "{'pandas', 'numpy', 'scipy', 'statsmodels', 'numba'}"
    code = f"import sys, spareplan.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
    shown = run("--help")
    assert shown.returncode == 0
    commands = (
        "check plan export approve issue diff list compare simulate accuracy backtest serve sample headcount"
    )
    for command in commands.split():
        assert command in shown.stdout


def test_a_good_dataset_is_named_fine(network: Path) -> None:
    done = run("check", network)
    assert done.returncode == 0 and "no problems" in done.stdout


def test_bad_data_ends_with_code_1_the_problems_and_their_csv(network: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    shutil.copytree(network, bad)
    parts = pd.read_csv(bad / "parts.csv", dtype=str)
    parts.loc[0, "unit_cost"] = "dear"
    parts.loc[3, "lead_time_days"] = "-5"
    parts.to_csv(bad / "parts.csv", index=False)
    listed = tmp_path / "problems.csv"
    done = run("check", bad, "--problems", listed)
    assert done.returncode == 1 and "dear" in done.stderr and "Traceback" not in done.stderr
    problems = pd.read_csv(listed, dtype={"value": str})
    assert list(problems.columns) == ["table", "row", "column", "value", "rule", "remedy"]
    assert problems[["table", "row", "column", "value"]].values.tolist() == [
        ["parts", 2, "unit_cost", "dear"],
        ["parts", 5, "lead_time_days", "-5"],
    ]
    out = tmp_path / "out"
    assert run("plan", bad, "--out", out, "--store", f"sqlite:///{tmp_path / 'p.db'}").returncode == 1
    assert not out.exists() and not (tmp_path / "p.db").exists()


def test_wrong_usage_ends_with_code_2(network: Path) -> None:
    assert run("plan").returncode == 2
    assert run("no-such-command").returncode == 2
    assert run("export", "one").returncode == 2


def test_a_budget_that_cannot_keep_the_promises_ends_with_code_3_and_the_least(
    network: Path, tmp_path: Path
) -> None:
    config = tmp_path / "poor.toml"
    config.write_text("budget = 1.0\n" + TINY, encoding="utf-8")
    done = run("plan", network, "--config", config)
    assert done.returncode == 3, done.stderr
    assert "least" in done.stderr or "needs" in done.stderr


def test_storage_and_export_failures_end_with_code_4(stored: str, tmp_path: Path) -> None:
    assert run("export", 99, "--store", stored).returncode == 4
    assert run("export", 1, "--store", stored, "--region", "火星", "--out", tmp_path).returncode == 4
    assert run("list", "--store", "postgresql+psycopg://nobody@127.0.0.1:1/x").returncode == 4


def test_versions_are_listed_compared_approved_issued_and_exported(
    stored: str, network: Path, tmp_path: Path
) -> None:
    assert "0 changes from version 1 to 2" in run("diff", 1, 2, "--store", stored).stdout
    assert run("issue", 1, "--who", "HQ", "--store", stored).returncode == 4
    assert run("approve", 1, "--who", "HQ", "--note", "fine", "--store", stored).returncode == 0
    assert run("issue", 1, "--who", "HQ", SPAREPLAN_STORE=stored).returncode == 0
    listed = run("list", "--store", stored).stdout
    assert "issued" in listed and "draft" in listed and "王伟" in listed
    done = run("export", 1, "--store", stored, "--region", "HQ", "--format", "csv", "--out", tmp_path)
    assert done.returncode == 0
    assert {Path(line).name for line in done.stdout.split()} >= {
        "purchasing.csv",
        "levels.csv",
        "assumptions.csv",
    }
    checked = run("simulate", 1, "--data", network, "--years", 2, "--store", stored)
    assert checked.returncode == 0, checked.stderr


def test_scenarios_are_compared_side_by_side(network: Path, tmp_path: Path) -> None:
    base, long = tmp_path / "base.toml", tmp_path / "long.toml"
    base.write_text(TINY, encoding="utf-8")
    long.write_text(TINY + "[thresholds]\nfill_rate_tier_1 = 0.8\n", encoding="utf-8")
    figures = tmp_path / "figures.csv"
    done = run("compare", network, base, long, "--csv", figures)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(figures, encoding="utf-8-sig")
    assert list(table.columns) == ["figure", "base", "long"]


def test_plan_and_actual_are_compared(samples: Path, stored: str, network: Path, tmp_path: Path) -> None:
    done = run("accuracy", 1, "--data", network, "--store", stored, "--csv", tmp_path / "score.csv")
    # The dataset ends where the plan starts: there is nothing to compare yet, and that is said.
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def earlier(network: Path) -> str:
    """A store with the plan of two months before the records end, in Chinese."""
    import spareplan as sp

    last = sp.read_dataset(str(network)).as_of()
    config = network.parent / "earlier.toml"
    day = last - pd.offsets.MonthEnd(2)
    config.write_text(f'{TINY}as_of = {day:%Y-%m-%d}\nlanguage = "zh"\n', encoding="utf-8")
    url = f"sqlite:///{network.parent / 'earlier.db'}"
    done = run("plan", network, "--config", config, "--store", url, "--author", "王伟")
    assert done.returncode == 0, done.stderr
    return url


def test_the_note_on_plan_and_actual_speaks_the_language_of_the_plan(network: Path, earlier: str) -> None:
    done = run("accuracy", 1, network, "--store", earlier)
    assert done.returncode == 0, done.stderr
    assert "2个月计划" in done.stdout and "大区" in done.stdout and "下次运行不作修正" in done.stdout
    english = run("accuracy", 1, network, "--store", earlier, "--language", "en")
    assert "pieces planned in 2 months" in english.stdout
    assert "The next run corrects nothing" in english.stdout


@pytest.mark.parametrize("by", ["total", "region", "part", "who", "month"])
def test_plan_and_actual_are_shown_by_any_cut_and_written_whole(
    network: Path, earlier: str, tmp_path: Path, by: str
) -> None:
    written = tmp_path / "score.csv"
    done = run("accuracy", 1, "--data", network, "--store", earlier, "--by", by, "--csv", written)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(written, encoding="utf-8-sig")
    if by == "who":
        assert "who" in table
    else:
        assert {"total", "month", "region", "part", "region and part"} <= set(table["group"])
        assert {"planned", "actual", "bias", "tracking_signal", "tracking_limit", "reason"} <= set(table)


def test_an_unknown_cut_or_a_missing_dataset_is_a_usage_error(network: Path, earlier: str) -> None:
    assert run("accuracy", 1, network, "--store", earlier, "--by", "moon").returncode == 2
    missing = run("accuracy", 1, "--store", earlier)
    assert missing.returncode == 2 and "DATA" in missing.stderr


def test_the_config_that_is_printed_is_read_again(tmp_path: Path) -> None:
    from spareplan import PlanConfig, read_config

    path = tmp_path / "plan.toml"
    path.write_text(run("config").stdout, encoding="utf-8")
    assert read_config(path) == PlanConfig()


def test_a_key_is_made_once_and_can_be_revoked(stored: str) -> None:
    key = run("token", "East office", "--region", "华东", "--store", stored).stdout.strip()
    assert key.startswith("sp_") and len(key) > 40
    assert "1 keys" in run("token", "East office", "--revoke", "--store", stored).stdout


def test_the_forecast_is_held_against_what_came(network: Path) -> None:
    table = network.parent / "backtest.csv"
    done = run("backtest", network, "--origins", 2, "--csv", table)
    assert done.returncode == 0, done.stderr
    assert "mean rate" in done.stdout
    rows = pd.read_csv(table, dtype={"part_id": str})
    assert rows["origin"].nunique() == 2
    assert {"actual", "published", "mean_rate", "once"} <= set(rows.columns)


def test_last_buys_are_told_with_their_risk(network: Path) -> None:
    folder = network.parent / "ending"
    shutil.copytree(network, folder)
    parts = pd.read_csv(folder / "parts.csv", dtype={"part_id": str})
    used = pd.read_csv(folder / "fitment.csv", dtype={"part_id": str})["part_id"].iloc[0]
    parts.loc[parts["part_id"] == used, "last_buy_on"] = "2026-06-30"
    parts.to_csv(folder / "parts.csv", index=False)
    table = network.parent / "lastbuys.csv"
    done = run("lastbuys", folder, "--risk", 0.1, "--csv", table)
    assert done.returncode == 0, done.stderr
    row = pd.read_csv(table, dtype={"part_id": str}).iloc[0]
    assert row["part_id"] == used
    assert 0 <= row["risk"] <= 0.1
    assert run("lastbuys", folder, "--risk", 1.5).returncode == 1


def test_a_back_test_writes_scores_parts_and_losers_beside_its_forecasts(network: Path) -> None:
    table = network.parent / "both.csv"
    picture = table.with_suffix(".png")
    asked = ["--by", "region", "--csv", table, "--picture", picture, "--language", "zh"]
    done = run("backtest", network, "--origins", 2, *asked)
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert run("backtest", network, "--picture", "scores.xyz").returncode == 2
    assert "Weighted quantile loss" in done.stdout and "by region" in done.stdout
    # A pipe has no edge: no cell is cut short, no line folded.
    assert "to_mean_high" in done.stdout and "…" not in done.stdout
    scores, parts, losers = (
        pd.read_csv(table.with_name(f"both_{name}.csv"), encoding="utf-8-sig", dtype={"part_id": str})
        for name in ("scores", "parts", "losers")
    )
    assert {"all", "class", "region"} <= set(scores["cut"])
    assert set(scores["forecast"]) == {"model", "mean", "sba", "tsb", "imapa", "zero"}
    assert parts["part_id"].is_unique and {"loss_model", "loss_mean", "loss_zero", "bias"} <= set(parts)
    assert {"state", "surprise", "money", "reason"} <= set(losers) and losers["money"].is_monotonic_decreasing


def test_a_back_test_needs_no_machines(network: Path) -> None:
    folder = network.parent / "no_machines"
    folder.mkdir()
    for name in ("parts", "sites", "regions"):
        shutil.copy(network / f"{name}.csv", folder)
    pairs = pd.read_csv(network / "parts.csv", dtype=str)[["part_id"]].head(6)
    site = pd.read_csv(network / "sites.csv", dtype=str)["site_id"].iloc[1]
    months = pd.DataFrame({"month": pd.date_range("2023-01-01", periods=30, freq="MS").strftime("%Y-%m-%d")})
    rows = pairs.merge(months, how="cross").assign(site_id=site)
    rows["quantity"] = [(7 * at) % 5 for at in range(len(rows))]
    rows.to_csv(folder / "demand.csv", index=False)
    table = network.parent / "history.csv"
    done = run("backtest", folder, "--by", "part", "--csv", table)
    assert done.returncode == 0, done.stderr
    assert "From machines" not in done.stdout and "by part" in done.stdout
    assert {"origin", "part_id", "site_id", "quantity", "q0.95"} <= set(pd.read_csv(table).columns)
    assert run("backtest", folder, "--by", "colour").returncode == 2
    rows[rows["month"] < "2023-05"].to_csv(folder / "demand.csv", index=False)
    short = run("backtest", folder)
    assert short.returncode == 1 and "leaves fewer" in short.stderr and "Traceback" not in short.stderr


def test_few_months_of_records_do_for_machines_and_it_is_said_that_history_has_no_scores(
    network: Path,
) -> None:
    folder = network.parent / "few_months"
    shutil.copytree(network, folder)
    rows = pd.read_csv(folder / "replacements.csv", dtype=str)
    late = pd.to_datetime(rows["replaced_on"]) > pd.to_datetime(rows["replaced_on"]).max() - pd.Timedelta(
        days=200
    )
    rows[late].to_csv(folder / "replacements.csv", index=False)
    (folder / "demand.csv").unlink(missing_ok=True)
    done = run("backtest", folder, "--origins", 1)
    assert done.returncode == 0, done.stderr
    assert "no scores from history" in done.stderr and "From machines" in done.stdout


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four parts at three sites, as CSV, with a config of frozen weeks."""
    from tests.small_network import frames

    folder = tmp_path_factory.mktemp("overrides") / "data"
    folder.mkdir()
    for name, table in frames().items():
        table.to_csv(folder / f"{name}.csv", index=False, encoding="utf-8")
    config = TINY.replace("weeks = 2", "weeks = 8") + "frozen_weeks = 4\n"
    (folder.parent / "plan.toml").write_text(config, encoding="utf-8")
    return folder


def test_an_override_is_typed_followed_and_withdrawn_on_the_command_line(tiny: Path) -> None:
    store = f"sqlite:///{tiny.parent / 'plans.db'}"
    plan = ("plan", tiny, "--config", tiny.parent / "plan.toml", "--store", store, "--author", "王伟")
    first = run(*plan)
    assert first.returncode == 0, first.stderr
    assert "follows" not in first.stdout.lower(), "there is no store yet"
    for step in ("approve", "issue"):
        assert run(step, 1, "--who", "HQ", "--store", store).returncode == 0
    what = ("--table", "levels", "--column", "base_stock", "--part", "A-1", "--site", "东站")
    who = ("--who", "李敏", "--why", "隧道开工", "--store", store)
    added = run("override", "add", *what, "--value", "１１", "--until", "2026-12-31", *who)
    assert added.returncode == 0 and "Overrides entered: 1." in added.stdout, added.stderr
    refused = run("override", "add", *what, "--value", "1,200", *who)
    assert refused.returncode == 1
    assert "overrides[row 2].value = '1,200'" in refused.stderr and "write 1234.5" in refused.stderr
    assert run("override", "add", "--part", "no such", *what[:4], "--value", 1, *who).returncode == 1
    listed = run("override", "list", "--store", store).stdout
    assert "levels.base_stock" in listed and "李敏" in listed and "2026-12-31" in listed
    second = run(*plan)
    assert second.returncode == 0, second.stderr
    assert "The plan follows version 1 (issued), as of 2026-05-31." in second.stdout
    assert "1 overrides: 1 inside the frozen horizon." in second.stdout
    changes = run("diff", 1, 2, "--store", store).stdout
    assert "A-1 · 东站" in changes and "李敏" in changes
    file = tiny.parent / "more.csv"
    file.write_text(
        "表,列,物料编码,调整值,调整人,调整日期,调整原因\ndemand,mean,C-3,9,王磊,2026-06-02,冬季\n",
        encoding="utf-8",
    )
    assert "Overrides entered: 2." in run("override", "add", "--file", file, "--store", store).stdout
    assert run("override", "withdraw", 1, "--who", "李敏", "--why", "over", "--store", store).returncode == 0
    assert run("override", "withdraw", 1, "--who", "李敏", "--store", store).returncode == 4
    assert "李敏" not in run("override", "list", "--store", store).stdout
    every = tiny.parent / "all.csv"
    assert "withdrawn" in run("override", "list", "--all", "--csv", every, "--store", store).stdout
    assert pd.read_csv(every)["withdrawn_by"].tolist()[0] == "李敏"
    third = run(*plan, "--previous", "none")
    assert "The plan follows no version." in third.stdout
    assert "2 overrides: 1 applied, 1 withdrawn." in third.stdout
    assert run(*plan, "--previous", "last").returncode == 1
    assert run(*plan, "--previous", 9).returncode == 4
