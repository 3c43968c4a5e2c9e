"""A planner opens a notebook in JupyterLab, runs all cells, and sees tables and pictures."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = "02_grading_thresholds.ipynb"
TOKEN = "only-for-this-test"
START_SECONDS, RUN_SECONDS = 60, 180
STARTED = r"""() => [...document.querySelectorAll('.jp-Notebook .jp-InputPrompt')]
    .some(prompt => /\[(\*|\d+)\]/.test(prompt.textContent))"""
BROWSER = [
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def missing(what: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing, and CI must have it")
    pytest.skip(f"{what} is missing: the notebooks are executed in tests, but not looked at in a browser")


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        missing("chromium")
    return str(found)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a JupyterLab that serves a copy of one notebook and the samples."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / NOTEBOOK, folder / "notebooks")
    (folder / "data").symlink_to(ROOT / "data")
    # Otherwise cells outside the window leave the page, and nothing can be read from them.
    settings = folder / "settings" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"windowingMode": "none"}', encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {
        f"JUPYTER_{name}_DIR": str(folder / f"jupyter_{name.lower()}")
        for name in ("CONFIG", "RUNTIME", "DATA")
    }
    own["JUPYTERLAB_SETTINGS_DIR"] = str(folder / "settings")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}"]
    command += [
        f"--IdentityProvider.token={TOKEN}",
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    with open(folder / "server.log", "wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=os.environ | own)
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until_answered(f"{address}/api/status?token={TOKEN}", server, folder / "server.log")
            yield address
        finally:
            server.terminate()
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def wait_until_answered(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    last = time.monotonic() + START_SECONDS
    while time.monotonic() < last:
        assert server.poll() is None, f"JupyterLab stopped:\n{log.read_text()[-2000:]}"
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"JupyterLab did not answer within {START_SECONDS} s:\n{log.read_text()[-2000:]}")


def run_all_cells(page: Any, timed_out: type[Exception]) -> None:
    """Ask again until it is heard: what is asked before the kernel has connected is forgotten."""
    page.wait_for_selector('.jp-StatusBar-Widget :text("| Idle")')
    for _ in range(6):
        page.click('.lm-MenuBar-itemLabel:text-is("Run")')
        page.click('.lm-Menu-itemLabel:text-is("Run All Cells")')
        try:
            page.wait_for_function(STARTED, timeout=8_000)
        except timed_out:
            continue
        return
    pytest.fail("JupyterLab did not start to run the cells")


@pytest.mark.slow
def test_a_notebook_runs_in_jupyterlab_and_shows_its_tables_and_pictures(
    chromium: str, lab: str, tmp_path: Path
) -> None:
    if importlib.util.find_spec("playwright") is None:
        missing("playwright")
    sync_api = importlib.import_module("playwright.sync_api")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=BROWSER)
        try:
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            page.set_default_timeout(START_SECONDS * 1000)
            page.goto(f"{lab}/lab/tree/notebooks/{NOTEBOOK}?token={TOKEN}")
            page.wait_for_selector(".jp-Notebook .jp-CodeCell")
            run_all_cells(page, sync_api.TimeoutError)
            # Every cell has its number, or one has failed and the others never run.
            done = """() => {
                if (document.querySelector('[data-mime-type="application/vnd.jupyter.error"]')) return true;
                const cells = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')];
                const prompts = cells.map(cell => cell.querySelector('.jp-InputPrompt').textContent);
                return cells.length > 5 && prompts.every(text => /\\[\\d+\\]/.test(text));
            }"""
            page.wait_for_function(done, timeout=RUN_SECONDS * 1000)
            errors = page.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"]')
            assert errors.count() == 0, errors.first.inner_text()
            outputs = page.locator(".jp-CodeCell").last.locator(".jp-OutputArea-output")
            outputs.first.wait_for()
            assert "long_lead_time_days" in outputs.first.inner_text()
            pictures = page.locator(".jp-OutputArea-output img")
            assert pictures.count() == 2
            assert pictures.first.evaluate("image => image.naturalWidth") > 400
            assert (
                "PartGrades"
                in page.locator(".jp-RenderedHTMLCommon", has_text="PartGrades").first.inner_text()
            )
        finally:
            browser.close()
