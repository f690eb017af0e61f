"""How Sphinx makes the site of these pages: `make site`, without the internet."""

from __future__ import annotations

project = "Fairlead"
copyright = "the Fairlead authors"  # noqa: A001 - the name is Sphinx's
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence"]
# `rollouts.md#gates`: the anchors that GitHub makes, so that links work in both places.
myst_heading_anchors = 4
html_theme = "furo"
html_title = "Fairlead"
html_show_sphinx = False
# The pages show file names, JSON and shell in one kind of block here and there.
suppress_warnings = ["misc.highlighting_failure"]
