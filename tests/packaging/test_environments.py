"""The wheel is what people install: an extra for each of its programs, none in need of another."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from cluster import pyenv
from cluster.paths import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="session")
def wheel() -> Path:
    """Return the wheel of this checkout."""
    return pyenv.wheel()


def _run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    # Not this checkout: neither its folders on the path, nor the variables that put them there.
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        [str(word) for word in argv], capture_output=True, text=True, check=False, env=env, cwd="/"
    )


def _installed(name: str, wheel: Path, folder: Path) -> Path:
    """Return the `bin` of a virtual environment with one extra's requirements and the wheel.

    The requirements stay in the cached environment; a `.pth` file leads there.
    """
    base = pyenv.environment(name)
    (packages,) = (base / "lib").glob("python3*/site-packages")
    done = _run(base / "bin" / "python", "-m", "venv", "--without-pip", folder)
    assert done.returncode == 0, done.stderr
    (own,) = (folder / "lib").glob("python3*/site-packages")
    (own / "requirements.pth").write_text(f"{packages}\n")
    done = _run(
        base / "bin" / "python", "-m", "pip", "--python", folder / "bin" / "python", "install",
        "-q", "--disable-pip-version-check", "--no-deps", "--no-index", wheel,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "bin"


@pytest.fixture(scope="session")
def operator(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `bin` of the operator's environment."""
    return _installed("operator", wheel, tmp_path_factory.mktemp("operator") / "venv")


@pytest.fixture(scope="session")
def runtime(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `bin` of the runtime's environment."""
    return _installed("runtime", wheel, tmp_path_factory.mktemp("runtime") / "venv")


@pytest.fixture(scope="session")
def cli(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `bin` of the command line's environment."""
    return _installed("cli", wheel, tmp_path_factory.mktemp("cli") / "venv")


def _imports(environment: Path, module: str) -> bool:
    done = _run(environment / "python", "-c", f"import {module}; print({module}.__file__)")
    if done.returncode == 0:
        assert not done.stdout.startswith(f"{ROOT}{os.sep}"), "this is the checkout, not the wheel"
        return True
    assert f"No module named '{module.split('.', maxsplit=1)[0]}'" in done.stderr, done.stderr
    return False


def test_the_operator_runs_and_cannot_import_what_serves(operator: Path) -> None:
    done = _run(operator / "fairlead-operator", "--help")
    assert done.returncode == 0, done.stderr
    assert "usage: fairlead-operator" in done.stdout
    assert _imports(operator, "kopf")
    assert _imports(operator, "fairlead_operator.handlers.operator")
    assert not _imports(operator, "onnxruntime")
    assert not _imports(operator, "torch")


def test_the_runtime_runs_and_cannot_import_what_operates(runtime: Path) -> None:
    done = _run(runtime / "fairlead-runtime", "--help")
    assert done.returncode == 0, done.stderr
    assert "usage: fairlead-runtime" in done.stdout
    assert _imports(runtime, "onnxruntime")
    assert _imports(runtime, "fairlead_runtime.http.server")
    assert not _imports(runtime, "kopf")
    assert not _imports(runtime, "kubernetes")
    assert not _imports(runtime, "torch")


def test_the_command_line_runs_by_each_of_its_names_without_operator_and_runtime(cli: Path) -> None:
    for name, said in (("fairlead", "fairlead"), ("kubectl-fairlead", "kubectl fairlead")):
        done = _run(cli / name, "--help")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"Usage: {said} ")
    assert _run(cli / "fairlead", "--version").stdout.startswith("fairlead 0.")
    planned = _run(cli / "fairlead", "plan", "--base-rate", "5%", "--effect", "10%")
    assert planned.returncode == 0, planned.stderr
    completed = _run(cli / "kubectl_complete-fairlead", "pro")
    assert completed.stdout.splitlines()[-1] == ":4"
    assert _imports(cli, "fairlead_cli.doctor.gather")
    assert not _imports(cli, "kopf")
    assert not _imports(cli, "onnxruntime")


def test_where_the_extra_is_missing_the_command_line_says_which(operator: Path) -> None:
    done = _run(operator / "fairlead", "status")
    assert done.returncode == 1
    assert "pip install 'fairlead[cli]'" in done.stderr


def test_the_operator_says_which_flags_it_has(operator: Path) -> None:
    done = _run(operator / "fairlead-operator", "run", "--help")
    assert done.returncode == 0, done.stderr
    assert "--lease-namespace" in done.stdout


def test_the_installed_operator_prints_the_crds_of_the_checkout(operator: Path) -> None:
    done = _run(operator / "fairlead-operator", "crds", "--print")
    assert done.returncode == 0, done.stderr
    texts = [path.read_text() for path in (ROOT / "crds").iterdir()]
    assert sorted(done.stdout.split("---\n")) == sorted(texts)


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    (info,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
    tops = {name.split("/")[0] for name in names}
    packages = (
        "operator/fairlead_cli",
        "operator/fairlead_operator",
        "operator/fairlead_recorder",
        "runtime/fairlead_runtime",
    )
    assert tops == {info, *(Path(package).name for package in packages)}
    for package in packages:
        folder = ROOT / package
        wanted = {str(path.relative_to(folder.parent)) for path in folder.rglob("*.py")}
        inside = {name for name in names if name.startswith(folder.name) and name.endswith(".py")}
        assert inside == wanted
        assert f"{folder.name}/py.typed" in names
    assert not [name for name in names if "test" in name.lower() or name.endswith(".pyc")]
    assert f"{info}/licenses/LICENSE" in names


def test_the_wheel_has_all_commands_and_needs_nothing_by_itself(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (points,) = [n for n in archive.namelist() if n.endswith("/entry_points.txt")]
        commands = archive.read(points).decode()
        (metadata,) = [n for n in archive.namelist() if n.endswith("/METADATA")]
        needs = [
            line.removeprefix("Requires-Dist: ")
            for line in archive.read(metadata).decode().splitlines()
            if line.startswith("Requires-Dist: ")
        ]
    assert "fairlead-operator = fairlead_operator.__main__:main" in commands
    assert "fairlead-runtime = fairlead_runtime.cli:main" in commands
    assert "kubectl-fairlead = fairlead_cli.__main__:main" in commands
    assert needs
    assert [need for need in needs if "extra ==" not in need] == []
