"""How the documentation is built: Sphinx, MyST for Markdown and notebooks, the furo theme."""

import re
from typing import Any

project = "spareplan"
author = "spareplan developers"
copyright = "2026, spareplan developers"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "spareplan"
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
napoleon_google_docstring = False
autodoc_typehints = "none"
autosummary_generate = False
exclude_patterns = ["_build"]


def list_references(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Turn the numbered references of a docstring into a list: many docstrings share a page."""
    lines[:] = [
        re.sub(r"\[(\d+)\]_", r"[\1]", re.sub(r"^(\s*)\.\. \[(\d+)\]", r"\1\2.", line)) for line in lines
    ]


def setup(app: Any) -> None:
    """Register the step above with Sphinx."""
    app.connect("autodoc-process-docstring", list_references, priority=900)
