"""`docs/statistics.md` names every method."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

from fairlead_operator import stats

TEXT = (Path(__file__).parents[3] / "docs" / "statistics.md").read_text()
HELPERS = {"check_share"}
FUNCTIONS = sorted(
    {
        name
        for info in pkgutil.iter_modules(stats.__path__)
        if info.name != "special"
        for name, value in vars(importlib.import_module(f"{stats.__name__}.{info.name}")).items()
        if inspect.isfunction(value)
        and value.__module__.startswith(stats.__name__)
        and not name.startswith("_")
    }
    - HELPERS
)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_statistics_page_names_each_function(name: str) -> None:
    assert f"`{name}`" in TEXT
