"""What `docs/tools.md` shows is run as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from cluster.pyenv import environment, wheel
from fairlead_runtime.cli import main, tools
from tests import models

TEXT = (Path(__file__).parents[2] / "docs" / "tools.md").read_text()
BLOCKS = re.findall(r"^```(\S+)(?: (\S+))?\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def blocks(language: str, note: str = "") -> list[str]:
    return [code for tongue, mark, code in BLOCKS if (tongue, mark) == (language, note)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the files that the text names."""
    model = models.classifier(tmp_path / "model.onnx")
    rows = np.random.default_rng(5).standard_normal((200, 3)).astype(np.float32)
    # Rows on the border between the classes go either way in 8 bits: the text shows the good case.
    rows = rows[np.abs(rows @ models.WEIGHTS @ (1, -1)) > 0.1]
    label, probabilities = ort.InferenceSession(str(model)).run(None, {"x": rows})
    np.savez(tmp_path / "examples.npz", x=rows, label=label, probabilities=probabilities)
    table = [",".join(str(value) for value in row) for row in rows]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,c", *table]) + "\n")
    marked = [f"{line},{value}" for line, value in zip(table, label, strict=True)]
    (tmp_path / "held-out.csv").write_text("\n".join(["a,b,c,label", *marked]) + "\n")
    return tmp_path


def run(code: str, folder: Path, python: Path, **env: str) -> str:
    """Run shell lines in which `fairlead-runtime` is this checkout's."""
    (folder / "bin").mkdir(exist_ok=True)
    command = folder / "bin" / "fairlead-runtime"
    command.write_text(f'#!/bin/sh\nexec {python} -W error -m fairlead_runtime.cli "$@"\n')
    command.chmod(0o755)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-eu", "-c", code],
        cwd=folder, env={**os.environ, **env, "PATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("code", blocks("sh"), ids=lambda code: code.split()[1])
def test_each_command_of_the_text_runs(folder: Path, code: str) -> None:
    assert run(code, folder, Path(sys.executable))


def test_the_python_of_the_text_runs(folder: Path) -> None:
    (code,) = blocks("python", "run")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "most rows a second" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_export_of_the_text_runs(tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel()) as archive:
        archive.extractall(tmp_path / "site")
    (nets,), (code,) = blocks("python", "file=nets.py"), blocks("sh", "needs=torch")
    (tmp_path / "nets.py").write_text(nets)
    python = environment("export") / "bin" / "python"
    assert "exported.onnx" in run(code, tmp_path, python, PYTHONPATH=str(tmp_path / "site"))
    assert (tmp_path / "exported.onnx").is_file()


@pytest.mark.parametrize("command", tools.COMMANDS)
def test_every_flag_that_the_text_names_is_there(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    known = capsys.readouterr().out
    section = TEXT.split(f"\n## {command}\n")[1].split("\n## ")[0]
    for flag in re.findall(r"--[a-z][a-z-]+", section):
        assert flag in known, flag
