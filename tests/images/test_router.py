"""The router's image runs as its pods will, and carries the program that the tests drive."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from cluster import images, sbom
from cluster.paths import ROOT
from fairlead_operator.traffic import bootstrap, documents
from fairlead_operator.traffic.split import Arm, only
from tests.images import container
from tests.router import envoy
from tests.router.asking import eventually

pytestmark = pytest.mark.timeout(900)
_PROGRAM = "usr/local/bin/envoy"


@pytest.fixture(scope="module")
def archive() -> Path:
    """Build the image, or take it from the cache."""
    return images.archive("router")


@pytest.fixture(scope="module")
def root(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the image's files."""
    folder = tmp_path_factory.mktemp("router") / "root"
    container.unpack(archive, folder)
    return folder


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_it_carries_the_very_program_that_the_tests_of_the_router_run(root: Path) -> None:
    tested = next(envoy.binary().parents[1].glob("lib/python3*/site-packages/envoy/_bin/envoy"))
    assert _digest(root / _PROGRAM) == _digest(tested)


def test_it_lists_the_pinned_program(root: Path) -> None:
    pinned = (ROOT / "requirements" / "envoy.in").read_text().strip()
    name, _, version = pinned.partition("==")
    listed = json.loads((root / sbom.PATH.lstrip("/")).read_text())["components"]
    assert f"pkg:pypi/{name}@{version}" in {each.get("purl") for each in listed}
    (program,) = [each for each in listed if each["type"] == "file"]
    assert program["name"] == f"/{_PROGRAM}"
    assert program["hashes"] == [{"alg": "SHA-256", "content": _digest(root / _PROGRAM)}]


def test_it_has_the_program_its_libraries_and_their_licences_and_nothing_else(root: Path) -> None:
    files = {str(each.relative_to(root)) for each in root.rglob("*") if each.is_file()}
    libraries = {name for name in files if re.fullmatch(r"(usr/)?lib(64)?/.*\.so\.\d+", name)}
    assert libraries
    assert files - libraries == {
        _PROGRAM,
        "etc/group",
        "etc/passwd",
        "usr/share/doc/envoy/LICENSE",
        "usr/share/doc/libc6/copyright",
        sbom.PATH.lstrip("/"),
    }


def test_nothing_in_it_runs_with_more_rights_than_its_user(archive: Path) -> None:
    with tarfile.open(archive) as outer:
        for layer in (name for name in outer.getnames() if name.endswith(("layer.tar", ".tar"))):
            with tarfile.open(fileobj=outer.extractfile(layer)) as files:
                assert [each.name for each in files if each.isfile() and each.mode & 0o6000] == []


class _Router(envoy.Envoy):
    """A router that runs in the image instead of as a plain process."""

    @contextlib.asynccontextmanager
    async def contained(self, archive: Path, scratch: Path) -> AsyncIterator[container.Process]:
        args = bootstrap.arguments(self.settings, str(self._file))
        shared = (self.mount, self._file)
        with container.running(archive, args, shared=shared, scratch=scratch) as process:
            await eventually(self._ready, 30)
            yield process


@pytest.fixture
async def router(archive: Path, tmp_path: Path) -> AsyncIterator[tuple[_Router, container.Process]]:
    """Return a router that answers, and its process."""
    made = _Router(tmp_path / "files", name_server_port=9)
    arm = Arm(name="stable", key="fraud-stable", host="fraud-stable.team.svc.cluster.test")
    made.write(documents.of(only(arm)))
    scratch = tmp_path / "run"
    scratch.mkdir()
    async with made.contained(archive, scratch) as process:
        yield made, process


async def test_it_is_ready_without_root_rights_or_a_writable_file(
    router: tuple[_Router, container.Process],
) -> None:
    found, process = router
    facts = process.facts()
    assert facts["Uid"].split() == ["65532"] * 4
    assert facts["CapEff"] == facts["CapPrm"] == facts["CapBnd"] == "0" * 16
    assert facts["NoNewPrivs"] == "1"
    assert "ro" in process.options("/")
    assert process.program() == Path("/", _PROGRAM)
    assert (await found.metrics("/ready")).text.strip() == "LIVE"
    assert "envoy_server_live" in await found.statistics()


async def test_its_admin_interface_is_reached_from_inside_the_pod_only(
    router: tuple[_Router, container.Process],
) -> None:
    found, _ = router
    for path in ("/", "/config_dump", "/quitquitquit", "/clusters", "/stats", "/ready/../help"):
        assert (await found.metrics(path)).status_code == 404, path
    async with httpx.AsyncClient(trust_env=False) as client:
        port = found.settings.admin_port
        assert (await client.get(f"http://127.0.0.1:{port}/server_info")).status_code == 200
        # Any other address of the machine stands for the pod's own.
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.2:{port}/server_info")
