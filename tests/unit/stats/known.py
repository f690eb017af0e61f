"""Known answers of independent packages, kept beside the tests with their inputs and source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "reference"


def case(file: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a case's inputs and its expected values."""
    cases = json.loads((_FOLDER / f"{file}.json").read_text())["cases"]
    found = {one["id"]: one for one in cases}[name]
    return found["inputs"], found["expected"]
