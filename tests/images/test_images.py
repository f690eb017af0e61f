"""What is in the images, read from the archives that the real Dockerfiles gave."""

from __future__ import annotations

import json
import re
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from cluster import images, sbom
from cluster.paths import ROOT

_COMPILERS = r"gcc|g\+\+|cc|c\+\+|clang|make|ld|as|rustc|go"
_TOOLS = re.compile(rf"(^|/)(bin/({_COMPILERS})(-\d+)?|cc1|cc1plus)$")
_CACHES = re.compile(r"(^|/)(\.cache/|var/lib/apt/lists/.*Packages|.*\.deb$|wheelhouse/|.*\.whl$)")


@dataclass(frozen=True)
class Image:
    """One image: its configuration, the names of its files, and what it says it is made of."""

    config: dict[str, Any]
    files: frozenset[str]
    bom: str

    def has(self, package: str) -> bool:
        """Whether a Python package is in it."""
        return any(f"/site-packages/{package}/" in name for name in self.files)


def read(archive: Path) -> Image:
    with tarfile.open(archive) as outer:
        manifest = json.load(outer.extractfile("manifest.json") or pytest.fail("no manifest"))[0]
        config = json.load(outer.extractfile(manifest["Config"]) or pytest.fail("no config"))
        names: set[str] = set()
        bom = ""
        for layer in manifest["Layers"]:
            inner = outer.extractfile(layer)
            with tarfile.open(fileobj=inner) as files:
                for each in files:
                    name = each.name.removeprefix("./")
                    names.add(name)
                    if name == sbom.PATH.lstrip("/"):
                        content = files.extractfile(each) or pytest.fail(f"{name} is no file")
                        bom = content.read().decode()
    return Image(config=config["config"], files=frozenset(names), bom=bom)


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
    said = {
        label.removeprefix("org.opencontainers.image."): value
        for label, value in found.config["Labels"].items()
    }
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert said["title"] == f"fairlead-{name}"
    assert said["licenses"] == package["license"]
    assert said["version"] == package["version"]
    assert all(said[label] for label in ("description", "vendor", "base.name"))


def test_it_carries_a_list_of_what_it_is_made_of(image: tuple[str, Image]) -> None:
    name, found = image
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(found.bom) is None
    document = json.loads(found.bom)
    assert document["metadata"]["component"]["name"] == f"fairlead-{name}"
    listed = {each["purl"].partition("?")[0] for each in document["components"] if "purl" in each}
    debian = {purl.rpartition("/")[2].partition("@")[0] for purl in listed if "pkg:deb/" in purl}
    assert "libc6" in debian
    for each in document["components"]:
        assert each["type"] == "file" or "distro=debian-" in each["purl"] or "pypi" in each["purl"]


def test_the_list_names_every_python_package_and_every_pin(
    python_image: tuple[str, Image],
) -> None:
    name, found = python_image
    listed = {
        each["purl"].removeprefix("pkg:pypi/")
        for each in json.loads(found.bom)["components"]
        if each["purl"].startswith("pkg:pypi/")
    }
    installed = {
        path.split("/")[-2].removesuffix(".dist-info")
        for path in found.files
        if path.endswith(".dist-info/METADATA")
    }
    assert installed
    assert {_canonical(each.replace("-", "@")) for each in installed} <= {
        _canonical(each) for each in listed
    }
    text = (ROOT / f"requirements/{name}.txt").read_text()
    pins = re.findall(r"^([\w.-]+)(?:\[.*\])?==(\S+) \\$", text, re.MULTILINE)
    assert len(pins) > 5
    assert {_canonical(f"{package}@{version}") for package, version in pins} <= {
        _canonical(each) for each in listed
    }


def _canonical(package: str) -> str:
    """Return `name@version` with the name as package indexes compare it."""
    name, _, version = package.partition("@")
    return f"{re.sub(r'[-_.]+', '-', name).lower()}@{version}"


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
