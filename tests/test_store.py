"""The plan store, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

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
from tests.plans import small_plan

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
