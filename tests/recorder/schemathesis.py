"""Schemathesis as a program: tries to prove the OpenAPI document wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def conforms(url: str, authorization: str, folder: Path) -> None:
    """Assert that it finds nothing.

    A schema cannot say that a batch's metrics must be the experiment's, that slots sum to 10,000 or
    that a UID belongs to a name: what it allows may still not fit.
    """
    program = Path(sys.executable).with_name("schemathesis")
    command = [
        str(program), "run", f"{url}/openapi.json", "--header", f"Authorization: {authorization}",
        "--seed", "1", "--max-examples", "20", "--no-color",
        "--phases", "examples,coverage,fuzzing",
        "--exclude-checks", "positive_data_acceptance",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr
    found = re.search(r"(\d+) generated, \d+ passed", done.stdout)
    assert found is not None, done.stdout
    assert int(found[1]) > 200
