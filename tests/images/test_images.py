"""What is in the images, read from the archives that the real Dockerfiles gave."""

from __future__ import annotations

import json
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cluster import images

_COMPILERS = r"gcc|g\+\+|cc|c\+\+|clang|make|ld|as|rustc|go"
_TOOLS = re.compile(rf"(^|/)(bin/({_COMPILERS})(-\d+)?|cc1|cc1plus)$")
_CACHES = re.compile(r"(^|/)(\.cache/|var/lib/apt/lists/.*Packages|.*\.deb$|wheelhouse/|.*\.whl$)")


@dataclass(frozen=True)
class Image:
    """One image: its configuration and the names of its files."""

    config: dict[str, Any]
    files: frozenset[str]

    def has(self, package: str) -> bool:
        """Whether a Python package is in it."""
        return any(f"/site-packages/{package}/" in name for name in self.files)


def read(archive: Path) -> Image:
    with tarfile.open(archive) as outer:
        manifest = json.load(outer.extractfile("manifest.json") or pytest.fail("no manifest"))[0]
        config = json.load(outer.extractfile(manifest["Config"]) or pytest.fail("no config"))
        names: set[str] = set()
        for layer in manifest["Layers"]:
            inner = outer.extractfile(layer)
            with tarfile.open(fileobj=inner) as files:
                names |= {each.name.removeprefix("./") for each in files}
    return Image(config=config["config"], files=frozenset(names))


@pytest.fixture(scope="session", params=images.NAMES)
def image(request: pytest.FixtureRequest) -> tuple[str, Image]:
    """Build an image, or take it from the cache."""
    name: str = request.param
    return name, read(images.archive(name))


@pytest.fixture(scope="session", params=("operator", "runtime"))
def python_image(request: pytest.FixtureRequest) -> tuple[str, Image]:
    """Build an image with code of ours, or take it from the cache."""
    name: str = request.param
    return name, read(images.archive(name))


@pytest.mark.timeout(900)
def test_it_runs_as_a_numeric_user_that_is_not_root(image: tuple[str, Image]) -> None:
    user = image[1].config["User"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


def test_it_has_a_health_check_and_starts_its_own_program(
    python_image: tuple[str, Image],
) -> None:
    name, found = python_image
    assert found.config["Healthcheck"]["Test"][0] == "CMD"
    assert found.config["Entrypoint"] == [f"fairlead-{name}"]
    assert f"opt/fairlead/bin/fairlead-{name}" in found.files


def test_it_says_what_it_is(image: tuple[str, Image]) -> None:
    name, found = image
    labels = found.config["Labels"]
    assert labels["org.opencontainers.image.title"] == f"fairlead-{name}"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_it_has_neither_compiler_nor_cache(image: tuple[str, Image]) -> None:
    assert [name for name in image[1].files if _TOOLS.search(name)] == []
    assert [name for name in image[1].files if _CACHES.search(name)] == []


def test_each_has_its_own_dependencies_only(python_image: tuple[str, Image]) -> None:
    name, found = python_image
    mine, others = {
        "operator": (("kopf", "fairlead_operator"), ("onnxruntime", "fairlead_cli")),
        "runtime": (
            ("onnxruntime", "fairlead_runtime"),
            ("kopf", "fairlead_operator", "fairlead_cli"),
        ),
    }[name]
    assert all(found.has(package) for package in mine)
    assert not any(found.has(package) for package in others)
    programs = {path.rpartition("/")[2] for path in found.files if "/fairlead/bin/" in path}
    assert not programs & {"fairlead", "kubectl-fairlead", "kubectl_complete-fairlead"}
