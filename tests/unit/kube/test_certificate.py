"""A server's certificate is renewed under the connections that it has."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from fairlead_operator.certificate import Certificate, served
from fairlead_operator.handlers import ports
from fairlead_operator.telemetry import Metrics
from tests.certificates import Authority
from tests.router.asking import eventually
from tests.router.envoy import free_ports


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Return an authority."""
    return Authority(tmp_path / "authority")


@pytest.fixture
def volume(authority: Authority, tmp_path: Path) -> Path:
    """Return the volume of a Secret with a certificate."""
    return authority.secret(tmp_path / "volume", "IP:127.0.0.1")


@pytest.fixture
async def server(volume: Path) -> AsyncIterator[tuple[Certificate, int]]:
    """Return a server's certificate, and its port."""
    made, (port,) = Certificate(volume), free_ports(1)
    runner = web.AppRunner(web.Application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=made.context).start()
    yield made, port
    await runner.cleanup()


async def shown(port: int, authority: Authority) -> bytes:
    """Return the certificate that a new connection is shown and accepts."""
    context = ssl.create_default_context(cafile=str(authority.file))
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return found


async def test_a_renewed_certificate_is_shown_to_new_connections(
    server: tuple[Certificate, int], authority: Authority, volume: Path
) -> None:
    certificate, port = server
    before = await shown(port, authority)
    assert not certificate.refresh()
    authority.secret(volume, "IP:127.0.0.1")
    assert await shown(port, authority) == before
    assert certificate.refresh()
    after = await shown(port, authority)
    assert after != before
    assert not certificate.refresh()


@pytest.mark.parametrize("broken", ["key", "certificate", "gone"])
async def test_a_broken_renewal_changes_nothing_until_it_is_mended(
    server: tuple[Certificate, int], authority: Authority, volume: Path, broken: str
) -> None:
    certificate, port = server
    before = await shown(port, authority)
    authority.secret(volume, "IP:127.0.0.1")
    other = authority.secret(volume.with_name("other"), "IP:127.0.0.1")
    now = (volume / "..data").resolve()
    if broken == "key":  # of another certificate
        (now / "tls.key").write_bytes((other / "tls.key").read_bytes())
    elif broken == "certificate":
        (now / "tls.crt").write_text("-----BEGIN CERTIFICATE-----")
    else:
        (volume / "..data").unlink()
    assert not certificate.refresh()
    assert await shown(port, authority) == before
    (volume / "..data").unlink(missing_ok=True)
    authority.secret(volume, "IP:127.0.0.1")
    assert certificate.refresh()
    assert await shown(port, authority) != before


async def test_a_certificate_is_followed_by_itself(
    server: tuple[Certificate, int], authority: Authority, volume: Path
) -> None:
    certificate, port = server
    before = await shown(port, authority)

    async def renewed() -> bool:
        return await shown(port, authority) != before

    async with certificate.followed(every_s=0.01):
        authority.secret(volume, "IP:127.0.0.1")
        await eventually(renewed, 30)


def test_a_folder_without_a_certificate_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no certificate can be read from"):
        Certificate(tmp_path)


async def test_no_folder_means_no_tls() -> None:
    async with served("") as context:
        assert context is None


async def test_the_operators_ports_are_served_over_tls(volume: Path, authority: Authority) -> None:
    health, metrics = free_ports(2)
    async with (
        served(str(volume)) as tls,
        ports.serve(
            stale=lambda: None, ready=lambda: True, registry=Metrics().registry,
            health_port=health, metrics_port=metrics, tls=tls,
        ),
    ):  # fmt: skip
        assert await shown(health, authority) == await shown(metrics, authority)
        reader, writer = await asyncio.open_connection("127.0.0.1", metrics)
        writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert not (await reader.read()).startswith(b"HTTP/"), "it is served in the clear as well"
        writer.close()
