"""The plan store, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

import spareplan as sp
from spareplan.config import StockingOptions
from spareplan.tables.typed import read_overrides
from tests.plans import small_plan
from tests.small_network import CONFIG, network

NOON = dt.datetime(2026, 1, 5, 12, 0, tzinfo=dt.UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'plans.db'}"
        return
    yield request.getfixturevalue("postgres_url")


@pytest.fixture
def store(url: str) -> Iterator[sp.PlanStore]:
    opened = sp.PlanStore(url, now=lambda: NOON)
    yield opened
    opened.close()


def test_a_stored_plan_comes_back_as_it_was_saved(store: sp.PlanStore) -> None:
    plan = small_plan()
    again = store.get(store.save(plan, author="王伟"))
    for name, table in plan.tables().items():
        pd.testing.assert_frame_equal(again.tables()[name], table, obj=name)
    assert again.levels.table["part_id"].tolist()[0] == "00123"
    assert (again.levels.cost, again.levels.gap, again.as_of) == (
        plan.levels.cost,
        plan.levels.gap,
        plan.as_of,
    )
    assert again.config == plan.config
    assert again.summary() == plan.summary()
    pd.testing.assert_frame_equal(again.demand.windows, plan.demand.windows)


def test_versions_go_from_draft_to_issued_and_the_old_one_is_superseded(store: sp.PlanStore) -> None:
    first, second = store.save(small_plan(), "王伟"), store.save(small_plan(4), "李娜", "more for 上海")
    for version in (first, second):
        store.approve(version, "HQ", "looked at")
        store.issue(version, "HQ")
    listed = store.list().set_index("version")["status"]
    assert listed.to_dict() == {first: "superseded", second: "issued"}
    trail = store.audit(first)
    assert trail["action"].tolist() == ["saved", "approved", "issued", "superseded"]
    assert trail["who"].tolist() == ["王伟", "HQ", "HQ", "HQ"]
    assert (trail["at"] == pd.Timestamp(NOON)).all()


@pytest.mark.parametrize("step", ["approve", "issue"])
def test_no_step_goes_back_or_is_skipped(store: sp.PlanStore, step: str) -> None:
    version = store.save(small_plan(), "王伟")
    if step == "issue":
        with pytest.raises(sp.StoreError, match=r"is draft.*approve it first"):
            store.issue(version, "HQ")
    store.approve(version, "HQ")
    if step == "approve":
        with pytest.raises(sp.StoreError, match="is approved"):
            store.approve(version, "HQ")
    store.issue(version, "HQ")
    with pytest.raises(sp.StoreError, match="is issued"):
        getattr(store, step)(version, "HQ")


def test_a_failed_issue_leaves_the_issued_version_alone(store: sp.PlanStore) -> None:
    first, draft = store.save(small_plan(), "a"), store.save(small_plan(4), "a")
    store.approve(first, "HQ")
    store.issue(first, "HQ")
    with pytest.raises(sp.StoreError):
        store.issue(draft, "HQ")
    assert store.status(first) == "issued"


def test_of_many_approvals_at_once_exactly_one_counts(store: sp.PlanStore) -> None:
    version = store.save(small_plan(), "a")
    refused: list[str] = []

    def approve() -> None:
        try:
            store.approve(version, "HQ")
        except sp.StoreError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=approve) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 5
    assert store.audit(version)["action"].tolist() == ["saved", "approved"]


def test_a_difference_names_the_rows_that_change(store: sp.PlanStore) -> None:
    changes = store.diff(store.save(small_plan(3), "a"), store.save(small_plan(5), "a"))
    assert set(changes["column"]) == {"base_stock", "reorder_point", "value"}
    assert set(changes["key"]) == {"00123 · 上海"}
    assert changes.set_index("column")["change"].to_dict() == {
        "base_stock": 2,
        "reorder_point": 2,
        "value": 2e5,
    }
    same = store.save(small_plan(3), "a")
    assert store.diff(same, same).empty


def test_unknown_versions_and_nameless_changes_are_refused(store: sp.PlanStore) -> None:
    with pytest.raises(sp.StoreError, match="no version 7; there are none yet"):
        store.get(7)
    with pytest.raises(sp.StoreError, match="author is empty"):
        store.save(small_plan(), "  ")
    version = store.save(small_plan(), "a")
    with pytest.raises(sp.StoreError, match="who is empty"):
        store.approve(version, "")
    assert store.status(version) == "draft"
    with pytest.raises(sp.StoreError, match=r"no table 'nothing'.*levels\.table"):
        store.table(version, "nothing")


def test_a_store_that_cannot_be_reached_says_so_without_its_password() -> None:
    with pytest.raises(sp.StoreError) as caught:
        sp.PlanStore("postgresql+psycopg://planner:secret@127.0.0.1:1/plans")
    assert "secret" not in str(caught.value) and "check the address" in str(caught.value)
    with pytest.raises(sp.StoreError):
        sp.PlanStore("no address at all")


def test_keys_are_kept_as_hashes_only(store: sp.PlanStore) -> None:
    key = store.make_token("华东 office", "region", ("华东",))
    known = store.token(key)
    assert known is not None and (known.role, known.regions) == ("region", ("华东",))
    with sa.create_engine(store.url).connect() as connection:
        kept = str(connection.execute(sa.text("select * from api_tokens")).all())
    assert key not in kept and key.removeprefix("sp_") not in kept
    assert store.token("sp_wrong") is None
    assert store.revoke_tokens("华东 office") == 1
    assert store.token(key) is None
    with pytest.raises(sp.StoreError, match="at least one region"):
        store.make_token("x", "region")


def test_a_save_that_is_killed_leaves_nothing_behind(url: str) -> None:
    """The process dies after the version row and some pieces are written, before the commit."""
    store = sp.PlanStore(url)
    whole = store.save(small_plan(), "a")
    root = Path(__file__).parents[1]
    script = (
        "import os, signal, spareplan.store as s\n"
        "from tests.plans import small_plan\n"
        f"store = s.PlanStore({url!r})\n"
        "count = [0]\n"
        "pieces = s.parquet_pieces\n"
        "def dying(frame):\n"
        "    count[0] += 1\n"
        "    if count[0] == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return pieces(frame)\n"
        "s.parquet_pieces = dying\n"
        "store.save(small_plan(), 'b')\n"
    )
    died = subprocess.run(
        [sys.executable, "-c", script], cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, timeout=120
    )
    assert died.returncode == -signal.SIGKILL
    assert store.list()["version"].tolist() == [whole]
    with sa.create_engine(url).connect() as connection:
        assert (
            connection.execute(
                sa.text("select count(*) from plan_pieces where version <> :v"), {"v": whole}
            ).scalar()
            == 0
        )
    store.save(small_plan(), "c")
    store.close()


def typed(**more: object) -> pd.DataFrame:
    row = {
        "table": "demand", "column": "mean", "part_id": "00123", "site_id": "上海", "value": "９",
        "who": "李敏", "why": "隧道开工", "month": "2026-02", "expires_on": "2026-03-31",
    }  # fmt: skip
    return pd.DataFrame([row | more])


def test_overrides_are_kept_with_who_and_when_and_withdrawn_ones_stay_in_the_list(
    store: sp.PlanStore,
) -> None:
    store.save(small_plan(), "王伟")
    assert store.add_overrides(typed(), by="王伟") == [1]
    assert store.add_overrides(typed()) == [], "the same decision is held once"
    assert store.add_override("levels", "base_stock", 4, "王磊", "winter", part_id="主油缸") == 2
    kept = store.overrides()
    assert kept["override"].tolist() == [1, 2]
    assert kept[["table", "column", "part_id", "site_id", "value", "who", "why", "entered_by"]].iloc[
        0
    ].tolist() == ["demand", "mean", "00123", "上海", "９", "李敏", "隧道开工", "王伟"]
    assert kept["when"].eq(pd.Timestamp("2026-01-05")).all()
    assert kept["month"].iloc[0] == pd.Timestamp("2026-02-01") and pd.isna(kept["month"].iloc[1])
    assert (kept["entered_at"] == pd.Timestamp(NOON)).all()
    store.withdraw_override(1, "HQ", "stopped")
    kept = store.overrides()
    assert kept["withdrawn_by"].iloc[0] == "HQ" and kept["withdrawn_why"].iloc[0] == "stopped"
    assert kept["withdrawn_on"].iloc[0] == pd.Timestamp("2026-01-05") and pd.isna(
        kept["withdrawn_on"].iloc[1]
    )
    assert store.override_status(kept).tolist() == ["withdrawn", "counts"]
    with pytest.raises(sp.StoreError, match="was withdrawn by HQ already"):
        store.withdraw_override(1, "HQ")
    with pytest.raises(sp.StoreError, match="there is no override 9"):
        store.withdraw_override(9, "HQ")
    with pytest.raises(sp.StoreError, match="who is empty"):
        store.withdraw_override(2, " ")


def test_an_override_that_cannot_be_followed_is_not_kept(store: sp.PlanStore) -> None:
    store.save(small_plan(), "a")
    for change, words in (
        ({"part_id": "P9"}, "not in parts"),
        ({"value": "1,200"}, "comma"),
        ({"value": "NaN"}, "no finite|finite"),
        ({"column": "variance"}, "can be overridden"),
        ({"who": ""}, "empty"),
    ):
        with pytest.raises(sp.DataError, match=words):
            store.add_overrides(pd.concat([typed(), typed(**change)], ignore_index=True))
    assert store.overrides().empty


def test_what_is_issued_enters_the_list_and_comes_back_with_every_version(store: sp.PlanStore) -> None:
    rows = pd.concat([typed(when="2025-12-20"), typed(when="2025-12-20", part_id="主油缸")])
    plan = dataclasses.replace(small_plan(), inputs=small_plan().inputs | {"overrides": read_overrides(rows)})
    version = store.save(plan, "a")
    assert store.get(version).typed_overrides.empty and store.issued() is None
    store.approve(version, "HQ")
    store.issue(version, "HQ")
    assert store.issued() == version
    again = store.get(version)
    assert again.version == version
    kept = again.typed_overrides
    assert kept["version"].tolist() == [version] * 2 and kept["entered_by"].tolist() == ["HQ"] * 2
    assert kept["part_id"].tolist() == ["00123", "主油缸"]


def test_overrides_of_the_store_reach_the_next_run_until_they_are_withdrawn(store: sp.PlanStore) -> None:
    """The whole road: issue, type, run, withdraw, run; against the run whose number was written by hand."""
    first = sp.make_plan(network(), CONFIG)
    version = store.save(first, "planner")
    store.approve(version, "HQ")
    store.issue(version, "HQ")
    number = store.add_override(
        "parts", "lead_time_days", "９０", "李敏", "supplier moves", part_id="B-2", when="2026-06-03"
    )
    data = network(pd.Timestamp("2026-06-30"))
    quiet = dataclasses.replace(CONFIG, learn_from_last=False, stocking=StockingOptions(change_must_save=0.0))
    plan = sp.make_plan(data, quiet, previous=store.get(version))
    parts = data.parts.assign(lead_time_days=[45.0, 90.0, 10.0, 10.0])
    by_hand = sp.make_plan(data.with_tables(parts=parts), quiet)
    for name in ("demand", "grades", "levels", "orders"):
        left, right = plan.tables()[name], by_hand.tables()[name]
        # A run that follows another also shows the level before.
        left = left.drop(columns="previous_base_stock", errors="ignore")
        pd.testing.assert_frame_equal(left, right, obj=name)
    assert plan.inputs["parts"].set_index("part_id").loc["B-2", "model_lead_time_days"] == 20
    listed = plan.inputs["applied_overrides"].iloc[0]
    assert (listed["status"], listed["model"], listed["who"]) == ("applied", "20", "李敏")
    # Without the plan before, the store alone hands them on.
    alone = sp.make_plan(data, quiet, history=store)
    assert alone.inputs["applied_overrides"]["status"].tolist() == ["applied"]
    store.withdraw_override(number, "李敏", "he stays")
    back = sp.make_plan(data, quiet, previous=store.get(version))
    model = sp.make_plan(data, quiet)
    for name in ("demand", "grades", "levels", "orders"):
        left = back.tables()[name].drop(columns="previous_base_stock", errors="ignore")
        pd.testing.assert_frame_equal(left, model.tables()[name], obj=name)
    assert back.inputs["applied_overrides"]["status"].tolist() == ["withdrawn"]
    changes = store.diff(store.save(plan, "a"), store.save(back, "a"))
    told = changes[changes["table"] == "overrides"].set_index("column")
    assert told.loc["status", ["before", "after"]].tolist() == ["applied", "withdrawn"]
