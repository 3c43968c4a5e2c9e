"""Every snippet of the documentation runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spareplan.staffing import _blocks
from spareplan.stocking import branching

ROOT = Path(__file__).parents[1]
# Pages whose snippets need data from outside the project have tests of their own.
ELSEWHERE = {"real_input.md"}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WITH_CODE = [
    page for page in PAGES if page.name not in ELSEWHERE and "```python" in page.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
def test_the_snippets_of_a_page_run_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    # Here snippets have to run; the last percent of stocks and people takes most of the time of a page.
    monkeypatch.setattr(branching, "WORK", 0)
    monkeypatch.setattr(_blocks, "MOST_NODES", 1)
    names: dict[str, object] = {"out": tmp_path}
    for code in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.S):
        exec(compile(code, page.name, "exec"), names)


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists() or target == "../tables.md", f"{page.name}: {target}"
