"""Figures go between their markers, and nothing else of a page changes."""

from __future__ import annotations

import pytest

from bench import pages

PAGE = "# Title\n\nbefore\n\n<!-- a -->\nold\n<!-- /a -->\n\nafter <!-- b --> x <!-- /b -->\n"


def test_only_what_is_between_the_markers_changes() -> None:
    found = pages.between(PAGE, "a", ["new", "lines"])
    assert found == PAGE.replace("\nold\n", "\n\nnew\nlines\n\n")
    assert pages.between(found, "a", ["new", "lines"]) == found


def test_a_page_without_the_markers_is_left_alone() -> None:
    with pytest.raises(ValueError, match="<!-- c -->"):
        pages.between(PAGE, "c", ["new"])
