"""Training anew gives the kept models again."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from cluster.pyenv import environment
from tests.examples.kept import EXAMPLES, MODELS, Kept, ask, rows, session, signature

# Training is in double precision with fixed seeds, so what another processor rounds differently
# reaches the probabilities as about 1e-7 (measured: SSE4 against AVX2), the step of the single
# precision in the file. One training step less moves them by more than 1e-3, another seed by more
# than 1e-2: between the two lies room for other releases of the libraries.
TOLERANCE = 1e-4

# The first of these tests also installs the export environment.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
each_version = pytest.mark.parametrize("kept", MODELS[:2], ids=lambda kept: kept.file)


@pytest.fixture(scope="module")
def retrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that `breast-cancer/train.py` has just written."""
    folder = tmp_path_factory.mktemp("retrained")
    python = environment("export") / "bin" / "python"
    script = EXAMPLES / "breast-cancer" / "train.py"
    done = subprocess.run(
        [str(python), str(script), "--output", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "held-out rows" in done.stdout
    return folder


def anew(kept: Kept, retrained: Path) -> Path:
    return retrained / Path(kept.file).relative_to("breast-cancer")


@each_version
def test_retraining_gives_the_same_inputs_and_outputs(kept: Kept, retrained: Path) -> None:
    assert signature(session(anew(kept, retrained))) == signature(session(kept.path))


@each_version
def test_retraining_gives_the_same_answers(kept: Kept, retrained: Path) -> None:
    features, truth = rows(kept.held_out)
    labels, probabilities = ask(session(kept.path), features)
    new_labels, new_probabilities = ask(session(anew(kept, retrained)), features)
    np.testing.assert_allclose(new_probabilities, probabilities, rtol=0, atol=TOLERANCE)
    assert (new_labels == labels).mean() >= 0.99
    assert abs((new_labels == truth).mean() - (labels == truth).mean()) <= 0.01


@each_version
def test_retraining_leaves_no_machine_path_in_the_file(kept: Kept, retrained: Path) -> None:
    body = anew(kept, retrained).read_bytes()
    for path in (EXAMPLES, environment("export"), retrained, Path.home()):
        assert str(path).encode() not in body


def test_retraining_holds_out_the_same_rows(retrained: Path) -> None:
    assert (retrained / "held-out.csv").read_text() == MODELS[0].held_out.read_text()
