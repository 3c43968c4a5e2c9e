"""How the documentation is built: Sphinx, MyST for Markdown and notebooks, the furo theme."""

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
exclude_patterns = ["_build"]
