"""Plans over HTTP: who may see what, in which form."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

import spareplan as sp
from tests.plans import small_plan

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient

from spareplan.export.http import create_app


@dataclass
class Service:
    client: TestClient
    hq: dict[str, str]
    east: dict[str, str]
    north: dict[str, str]
    issued: int
    draft: int


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    store = sp.PlanStore(f"sqlite:///{tmp_path / 'plans.db'}")
    issued, draft = store.save(small_plan(), "planner"), store.save(small_plan(4), "planner")
    store.approve(issued, "HQ")
    store.issue(issued, "HQ")
    keys = {
        name: {"Authorization": f"Bearer {store.make_token(name, role, regions)}"}
        for name, role, regions in [
            ("hq", "hq", ()),
            ("east", "region", ("华东",)),
            ("north", "region", ("华北",)),
        ]
    }
    with TestClient(create_app(store)) as client:
        yield Service(client, **keys, issued=issued, draft=draft)
    store.close()


def test_without_a_valid_key_nothing_is_shown(service: Service) -> None:
    for path in (
        "/versions",
        f"/versions/{service.issued}/tables",
        f"/versions/{service.issued}/tables/levels",
    ):
        for headers in ({}, {"Authorization": "Bearer sp_wrong"}):
            assert service.client.get(path, headers=headers).status_code == 401


def test_a_region_reads_only_its_own_rows_of_issued_versions(service: Service) -> None:
    seen = service.client.get("/versions", headers=service.east).json()
    assert [row["version"] for row in seen] == [service.issued]
    assert "T" in seen[0]["saved_at"] and seen[0]["saved_at"].endswith("+0000")
    tables = service.client.get(f"/versions/{service.issued}/tables", headers=service.east).json()["tables"]
    for name in tables:
        rows = service.client.get(f"/versions/{service.issued}/tables/{name}", headers=service.east).json()[
            "rows"
        ]
        for row in rows:
            assert row.get("region_id", "华东") == "华东", name
            assert row.get("site_id", "上海") == "上海", name
    assert "purchasing" not in tables and "grades" not in tables
    assert (
        service.client.get(f"/versions/{service.draft}/tables/levels", headers=service.east).status_code
        == 403
    )
    other = service.client.get(
        f"/versions/{service.issued}/tables/levels", params={"region": "华东"}, headers=service.north
    )
    assert other.status_code == 403
    own = service.client.get(f"/versions/{service.issued}/tables/levels", headers=service.north)
    assert own.status_code == 404 and "上海" not in own.text


def test_every_form_holds_the_same_rows(service: Service) -> None:
    path = f"/versions/{service.issued}/tables/levels"
    rows = pd.DataFrame(service.client.get(path, headers=service.hq).json()["rows"])
    get = lambda form: service.client.get(path, params={"format": form}, headers=service.hq).content  # noqa: E731
    frames = {
        "csv": pd.read_csv(io.BytesIO(get("csv")), dtype={"part_id": str}),
        "parquet": pd.read_parquet(io.BytesIO(get("parquet"))),
        "xlsx": pd.read_excel(io.BytesIO(get("xlsx")), engine="calamine", dtype={"Part": str}).rename(
            columns={"Part": "part_id", "Base stock": "base_stock"}
        ),
    }
    for form, frame in frames.items():
        assert frame["part_id"].tolist() == rows["part_id"].tolist(), form
        assert frame["base_stock"].tolist() == rows["base_stock"].tolist(), form


def test_rows_are_filtered_and_paged(service: Service) -> None:
    path = f"/versions/{service.issued}/tables/levels"
    answer = service.client.get(path, params={"limit": 1, "offset": 2}, headers=service.hq)
    assert answer.headers["X-Total-Count"] == "4" and len(answer.json()["rows"]) == 1
    part = service.client.get(path, params={"part_id": "主油缸"}, headers=service.hq).json()
    assert part["total"] == 2
    assert service.client.get(path, params={"limit": 0}, headers=service.hq).status_code == 422
    assert (
        service.client.get(f"/versions/{service.issued}/tables/none", headers=service.hq).status_code == 404
    )
    assert service.client.get("/versions/99/tables/levels", headers=service.hq).status_code == 404


def test_only_hq_approves_and_issues(service: Service) -> None:
    step = f"/versions/{service.draft}/approve"
    assert service.client.post(step, json={"note": "x"}, headers=service.east).status_code == 403
    assert service.client.post(step, json={"note": "ok"}, headers=service.hq).json() == {"status": "approved"}
    assert service.client.post(step, json={"note": "again"}, headers=service.hq).status_code == 409
    assert (
        service.client.post(f"/versions/{service.draft}/issue", json={}, headers=service.hq).status_code
        == 200
    )
    listed = {
        row["version"]: row["status"] for row in service.client.get("/versions", headers=service.hq).json()
    }
    assert listed == {service.issued: "superseded", service.draft: "issued"}


def test_the_service_describes_itself_and_loads_nothing_from_elsewhere(service: Service) -> None:
    described = service.client.get("/openapi.json").json()
    assert "/versions/{version}/tables/{table}" in described["paths"]
    assert service.client.get("/docs").status_code == 404


def test_headquarters_types_lists_and_withdraws_overrides(service: Service) -> None:
    row = {
        "table": "levels", "column": "base_stock", "part_id": "00123", "site_id": "上海", "value": 4,
        "why": "隧道开工", "expires_on": "2030-12-31",
    }  # fmt: skip
    assert service.client.post("/overrides", json=[row], headers=service.east).status_code == 403
    assert service.client.get("/overrides", headers=service.east).status_code == 403
    made = service.client.post("/overrides", json=[row], headers=service.hq)
    assert (made.status_code, made.json()) == (200, {"overrides": [1]})
    (kept,) = service.client.get("/overrides", headers=service.hq).json()
    assert (kept["who"], kept["value"], kept["why"], kept["status"]) == ("hq", "4", "隧道开工", "counts")
    assert kept["expires_on"] == "2030-12-31" and kept["month"] is None
    bad = service.client.post("/overrides", json=[row | {"value": "1,200"}], headers=service.hq)
    assert bad.status_code == 422 and bad.json()["problems"][0]["column"] == "value"
    unknown = service.client.post("/overrides", json=[row | {"part_id": "P9"}], headers=service.hq)
    assert unknown.status_code == 422 and "not in parts" in unknown.json()["detail"]
    step = "/overrides/1/withdraw"
    assert service.client.post(step, json={"note": "x"}, headers=service.east).status_code == 403
    back = service.client.post(step, json={"note": "stopped"}, headers=service.hq)
    assert back.json() == {"status": "withdrawn"}
    assert service.client.post(step, json={"note": ""}, headers=service.hq).status_code == 409
    lost = service.client.post("/overrides/7/withdraw", json={"note": ""}, headers=service.hq)
    assert lost.status_code == 404
    (kept,) = service.client.get("/overrides", headers=service.hq).json()
    assert (kept["status"], kept["withdrawn_by"], kept["withdrawn_why"]) == ("withdrawn", "hq", "stopped")
