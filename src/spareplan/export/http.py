"""Plans over HTTP: versions and their tables, cut to what the bearer of a key may see.

FastAPI's own documentation pages load scripts from elsewhere, so they are left off; the OpenAPI description
is at ``/openapi.json``.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from typing import Annotated, Any, Literal

import pandas as pd
from fastapi import Body, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from spareplan import __version__
from spareplan.errors import DataError, ExportError, StoreError
from spareplan.export.contract import CONTRACT_VERSION, SHEETS
from spareplan.export.regional import cut_plan, find_region, full_sheets, region_names
from spareplan.export.writers import csv_bytes, records, workbook_bytes
from spareplan.keys import Token
from spareplan.results import Plan
from spareplan.store import PlanStore

Format = Literal["json", "csv", "parquet", "xlsx"]
MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
MOST_ROWS = 100_000
KEPT_PLANS = 4
bearer = HTTPBearer(auto_error=False)


def _token(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> Token:
    known = request.app.state.store.token(given.credentials) if given else None
    if known is None:
        raise HTTPException(
            401, "send a valid key as 'Authorization: Bearer ...'", {"WWW-Authenticate": "Bearer"}
        )
    return known


def _hq_token(known: Annotated[Token, Depends(_token)]) -> Token:
    if known.role != "hq":
        raise HTTPException(403, "this is HQ's to do")
    return known


Bearer = Annotated[Token, Depends(_token)]
Headquarters = Annotated[Token, Depends(_hq_token)]
Note = Annotated[str, Body(embed=True)]


def create_app(store: PlanStore) -> FastAPI:
    """The service over one plan store.

    Parameters
    ----------
    store : PlanStore

    Returns
    -------
    FastAPI
    """
    app = FastAPI(title="spareplan", version=__version__, docs_url=None, redoc_url=None)
    app.state.store = store
    plans = _Plans(store)

    @app.exception_handler(StoreError)
    def refused(_request: Request, error: StoreError) -> JSONResponse:
        missing = str(error).startswith(("there is no version", "there is no override"))
        return JSONResponse({"detail": str(error)}, 404 if missing else 409)

    @app.exception_handler(DataError)
    def unread(_request: Request, error: DataError) -> JSONResponse:
        return JSONResponse({"detail": str(error), "problems": records(error.problems)}, 422)

    @app.exception_handler(ExportError)
    def unknown(_request: Request, error: ExportError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 404)

    @app.get("/versions")
    def versions(known: Bearer) -> list[dict[str, Any]]:
        """Versions the bearer may read, newest first."""
        table = store.list()
        if known.role != "hq":
            # The summary speaks of the whole company.
            table = table[table["status"] == "issued"].drop(columns="summary")
        return records(table)

    @app.get("/versions/{version}/tables")
    def tables(version: int, known: Bearer) -> dict[str, Any]:
        """Tables of a version, with their columns and rows."""
        sheets = plans.sheets(version, known)
        return {
            "version": version,
            "contract": CONTRACT_VERSION,
            "tables": {
                name: {"rows": len(frame), "columns": list(frame.columns)} for name, frame in sheets.items()
            },
        }

    @app.get("/versions/{version}/tables/{table}")
    def rows(
        version: int,
        table: str,
        known: Bearer,
        part_id: str | None = None,
        site_id: str | None = None,
        region: str | None = None,
        format: Format = "json",
        limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 1000,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> Response:
        """Rows of one table, filtered and paged; the total stands in the header X-Total-Count."""
        sheets = plans.sheets(version, known, region)
        if table not in sheets:
            raise HTTPException(404, f"there is no table {table!r}; there are {', '.join(sheets)}")
        frame = sheets[table]
        for column, wanted in (("part_id", part_id), ("site_id", site_id)):
            if wanted is not None and column in frame:
                frame = frame[frame[column] == wanted]
        page = frame.iloc[offset : offset + limit]
        headers = {"X-Total-Count": str(len(frame)), "X-Contract-Version": CONTRACT_VERSION}
        if format == "json":
            body = {
                "version": version,
                "table": table,
                "total": len(frame),
                "offset": offset,
                "rows": records(page),
            }
            return JSONResponse(body, headers=headers)
        return Response(
            _encoded(page, table, format, plans.get(version)), media_type=MEDIA[format], headers=headers
        )

    @app.post("/versions/{version}/approve")
    def approve(version: int, known: Headquarters, note: Note = "") -> dict[str, str]:
        """Approve a draft (HQ)."""
        store.approve(version, known.name, note)
        return {"status": "approved"}

    @app.post("/versions/{version}/issue")
    def issue(version: int, known: Headquarters, note: Note = "") -> dict[str, str]:
        """Issue an approved version (HQ)."""
        store.issue(version, known.name, note)
        return {"status": "issued"}

    @app.get("/overrides")
    def overrides(known: Headquarters) -> list[dict[str, Any]]:
        """Overrides the store holds, those taken back too (HQ)."""
        table = store.overrides()
        return records(table.assign(status=store.override_status(table)))

    @app.post("/overrides")
    def add_overrides(known: Headquarters, rows: Annotated[list[dict[str, Any]], Body()]) -> dict[str, Any]:
        """Keep overrides for the next run: columns of the input table overrides (HQ)."""
        frame = pd.DataFrame(rows, dtype=object)
        if "who" not in frame:
            frame["who"] = known.name
        return {"overrides": store.add_overrides(frame, by=known.name)}

    @app.post("/overrides/{override}/withdraw")
    def withdraw(override: int, known: Headquarters, note: Note = "") -> dict[str, str]:
        """Take an override back (HQ)."""
        store.withdraw_override(override, known.name, note)
        return {"status": "withdrawn"}

    return app


def serve(url: str, host: str, port: int) -> None:
    """Run the service until it is interrupted.

    Parameters
    ----------
    url : str
        Address of the plan store.
    host : str
    port : int
    """
    import uvicorn

    uvicorn.run(create_app(PlanStore(url)), host=host, port=port, log_level="info")


class _Plans:
    """The last few plans that were asked for; a version's content never changes, so they may be kept."""

    def __init__(self, store: PlanStore) -> None:
        self._store = store
        self._kept: OrderedDict[int, Plan] = OrderedDict()

    def get(self, version: int) -> Plan:
        if version not in self._kept:
            self._kept[version] = self._store.get(version)
            while len(self._kept) > KEPT_PLANS:
                self._kept.popitem(last=False)
        return self._kept[version]

    def sheets(self, version: int, token: Token, region: str | None = None) -> dict[str, pd.DataFrame]:
        """Tables as this token may see them: a region's token never sees another region's rows."""
        if token.role == "hq":
            plan = self.get(version)
            return (
                full_sheets(plan)
                if region is None
                else dict(cut_plan(plan, find_region(plan, region)).sheets)
            )
        if self._store.status(version) != "issued":
            raise HTTPException(403, f"version {version} is not issued to regions")
        if region is not None and region not in token.regions:
            raise HTTPException(403, f"this key does not read region {region}")
        plan = self.get(version)
        wanted = token.regions if region is None else (region,)
        known = [one for one in wanted if one in region_names(plan)]
        if not known:
            raise HTTPException(404, f"version {version} has nothing for {', '.join(wanted)}")
        cuts = [cut_plan(plan, one).sheets for one in known]
        names = [name for name in SHEETS if any(name in cut for cut in cuts)]
        # What concerns all regions stands in every cut.
        shared = {"assumptions", "overrides", "engineers_nights"}
        tables = {
            name: pd.concat([cut[name] for cut in cuts if name in cut], ignore_index=True) for name in names
        }
        return {name: table.drop_duplicates() if name in shared else table for name, table in tables.items()}


def _encoded(frame: pd.DataFrame, table: str, format: Format, plan: Plan) -> bytes:
    if format == "csv":
        return csv_bytes(frame)
    if format == "parquet":
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=False)
        return buffer.getvalue()
    return workbook_bytes({table: frame}, plan.as_of, plan.config.language)
