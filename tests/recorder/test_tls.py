"""The recorder over TLS: to the operator, to routers, and to nobody in the clear."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from fairlead_operator.evidence.recorder import Recorder as Client
from fairlead_operator.evidence.recorder import RecorderError
from fairlead_operator.traffic import exposures
from tests.certificates import Authority
from tests.recorder.process import Recorder, recorder
from tests.recorder.test_exposures import count, counters, recorded, register, until, visit
from tests.router.asking import a_split, eventually
from tests.router.world import World

_HOST = "recorder.test"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Return the authority that the recorder's certificate is from."""
    return Authority(tmp_path / "authority")


@pytest.fixture
def served(authority: Authority, tmp_path: Path) -> Iterator[Recorder]:
    """Run a recorder with a certificate, in which the name stands by which routers know it."""
    volume = authority.secret(tmp_path / "volume", "IP:127.0.0.1", f"DNS:{_HOST}")
    folder = tmp_path / "recorder"
    folder.mkdir()
    with recorder(
        f"sqlite:///{folder}/recorder.db", folder, "--no-authentication", f"--tls-dir={volume}",
        authority=authority.file,
    ) as started:  # fmt: skip
        yield started


async def test_the_operator_asks_it_and_no_impostor(
    served: Recorder, authority: Authority, tmp_path: Path
) -> None:
    async with Client(served.url, authority=authority.file.read_text()) as client:
        await client.ready()
        await client.register("shop", "checkout", served.definition)
    other = Authority(tmp_path / "other").file.read_text()
    async with Client(served.url, authority=other) as client:
        with pytest.raises(RecorderError, match="certificate verify failed"):
            await client.ready()


def test_neither_port_speaks_in_the_clear(served: Recorder) -> None:
    for port in (served.port, served.exposures_port):
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False)


def test_without_a_certificate_it_does_not_start(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="no certificate can be read from"),
        recorder(
            f"sqlite:///{tmp_path}/r.db", tmp_path, "--no-authentication", f"--tls-dir={tmp_path}"
        ),  # fmt: skip
    ):
        pass


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Return a world whose router is not begun."""
    new = World(tmp_path / "world")
    yield new
    await new.end()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("trusted", [True, False], ids=["its-authority", "another"])
async def test_a_router_sends_exposures_to_the_one_whose_certificate_it_can_check(
    world: World, served: Recorder, authority: Authority, tmp_path: Path, trusted: bool
) -> None:
    signed = authority if trusted else Authority(tmp_path / "other")
    await world.begin(
        recorder=f"{_HOST}:{served.exposures_port}", recorder_ca=signed.file.read_text()
    )
    world.names.addresses[_HOST] = ["127.0.0.1"]
    control, bigger = await world.arm("control"), await world.arm("bigger")
    split = a_split(control, bigger, control=5_000, bigger=5_000)
    register(served, split)
    await world.route(recorded(split, served, 1))
    await visit(world, [f"user-{number}" for number in range(20)])
    if trusted:
        await until(served, "exposures", 20)
        return

    async def dropped() -> bool:
        return await count(world, exposures.DROPPED) == 20

    await eventually(dropped, 30)
    assert (await counters(served))["exposures"] == 0
