"""A dry run of a release, as people type it: what lies in the folder is what they would get."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import images, publish
from cluster.paths import ROOT, ClusterError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
_VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
_HERE = publish.here().replace("/", "-")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that a dry run has made."""
    out = tmp_path_factory.mktemp("release") / "out"
    assert publish.main([_VERSION, "--dry-run", "--out", str(out), "--source", "https://e.x"]) == 0
    return out


def test_everything_that_people_install_is_there(made: Path) -> None:
    per_image = [
        f"fairlead-{name}-{_VERSION}-{_HERE}.{end}"
        for name in images.NAMES
        for end in ("tar.gz", "cdx.json")
    ]
    assert sorted(path.name for path in made.iterdir()) == sorted([
        "RELEASE.md", "SHA256SUMS", "fairlead-crds.yaml", "install.yaml", *per_image,
        f"fairlead-{_VERSION}-py3-none-any.whl", f"fairlead-{_VERSION}.tar.gz",
        f"fairlead-{_VERSION}.tgz",
    ])  # fmt: skip


def test_the_checksums_hold_and_cover_everything(made: Path) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=made, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": OK") == len(list(made.iterdir())) - 1


@pytest.mark.parametrize("name", images.NAMES)
def test_an_image_names_its_commit_and_lists_its_parts(made: Path, name: str) -> None:
    revision = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    stem = made / f"fairlead-{name}-{_VERSION}-{_HERE}"
    with gzip.open(f"{stem}.tar.gz") as whole, tarfile.open(fileobj=whole) as outer:
        files = {member.name: outer.extractfile(member) for member in outer if member.isfile()}
        manifest = json.load(files["manifest.json"] or pytest.fail("no manifest"))[0]
        config = json.load(files[manifest["Config"]] or pytest.fail("no config"))
    labels = config["config"]["Labels"]
    assert labels["org.opencontainers.image.revision"] == revision
    assert labels["org.opencontainers.image.version"] == _VERSION
    assert labels["org.opencontainers.image.source"] == "https://e.x"
    assert re.match(r"\d{4}-\d\d-\d\dT", labels["org.opencontainers.image.created"])
    assert f"linux/{config['architecture']}" == publish.here()
    listed = json.loads(Path(f"{stem}.cdx.json").read_text())
    assert listed["metadata"]["component"]["name"] == f"fairlead-{name}"


def test_the_chart_is_whole_and_of_this_version(made: Path) -> None:
    shown = yaml.safe_load(publish.helm("show", "chart", str(made / f"fairlead-{_VERSION}.tgz")))
    assert (shown["version"], shown["appVersion"]) == (_VERSION, _VERSION)
    rendered = publish.helm("template", "x", str(made / f"fairlead-{_VERSION}.tgz"))
    assert rendered == publish.helm("template", "x", str(publish.CHART))


def test_the_manifests_are_the_trees_own(made: Path) -> None:
    crds = _documents(made / "fairlead-crds.yaml")
    assert {crd["metadata"]["name"] for crd in crds} == {
        "experiments.fairlead.dev", "modeldeployments.fairlead.dev",
    }  # fmt: skip
    installed = _documents(made / "install.yaml")
    assert installed[0]["kind"] == "Namespace"
    pods = [each["spec"]["template"]["spec"] for each in installed if "template" in each["spec"]]
    used = {container["image"] for pod in pods for container in pod["containers"]}
    assert used == {f"fairlead/operator:{_VERSION}"}


def _documents(path: Path) -> list[Any]:
    found = [each for each in yaml.safe_load_all(path.read_text()) if each]
    return [{"spec": {}, **each} for each in found]


def test_the_notes_are_the_changelogs_and_name_the_images(made: Path) -> None:
    text = (made / "RELEASE.md").read_text()
    assert text.startswith(f"# Fairlead {_VERSION}\n")
    assert "`ModelDeployment` (`fairlead.dev/v1alpha1`)" in text
    for name in images.NAMES:
        assert f"- `fairlead/{name}:{_VERSION}`" in text


def test_the_same_commit_gives_the_same_wheel_and_sdist(made: Path, tmp_path: Path) -> None:
    _, committed = publish._commit(clean=False)
    publish._distributions(tmp_path, committed)
    again = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(again) == 2
    for name, content in again.items():
        assert (made / name).read_bytes() == content, name


def test_another_version_than_the_trees_is_refused(tmp_path: Path) -> None:
    release = publish.Release(
        version="99.0.0", out=tmp_path / "out", registry=None, platforms=(publish.here(),)
    )
    with pytest.raises(ClusterError, match=r"make version VERSION=99\.0\.0"):
        publish.make(release)
    assert not release.out.exists()
