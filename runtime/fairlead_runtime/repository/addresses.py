"""Where a redirect may lead: told by the address that is connected to, not by a name."""

from __future__ import annotations

import http.client
import ipaddress
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from fairlead_runtime.repository.errors import DownloadFailedError

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def public(address: str) -> bool:
    """Whether an address is one of the public internet.

    Private, shared (RFC 6598), loopback, link-local, multicast and reserved ones are not, nor is an
    IPv6 address that stands for such an IPv4 address.
    """
    found = _meant(address)
    return found.is_global and not found.is_multicast


def link_local(address: str) -> bool:
    """Whether an address is link-local: there clouds tell a machine its credentials."""
    return _meant(address).is_link_local


def _meant(address: str) -> _Address:
    """Return the address, or the IPv4 address that is inside it."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found in _NAT64:
            return ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        return found.ipv4_mapped or found.sixtofour or found
    return found


class Guard:
    """Watches the connections of one request and of the redirects that follow it.

    The URI itself may name any host: whoever wrote it is trusted with that, what answers is not.
    """

    def __init__(self, shown: str, *, private_redirects: bool) -> None:
        """Make a guard.

        Args:
            shown: The URI for people.
            private_redirects: Whether a redirect may lead to an address that is not public.
        """
        self._shown, self._private = shown, private_redirects
        self.redirected = False

    def check(self, address: str) -> None:
        """Refuse a connection that a redirect asked for; not a byte has been sent over it.

        Raises:
            DownloadFailedError: It leads where it may not.
        """
        if not self.redirected:
            return
        if link_local(address):
            why = "a link-local address, which is never followed"
        elif not self._private and not public(address):
            why = "no public address, which --private-redirects=deny forbids"
        else:
            return
        message = f"{self._shown} is redirected to {address}: {why}"
        raise DownloadFailedError(message, again=False)


class _Checked(http.client.HTTPConnection):
    """Checks the peer as soon as it is connected: a name may mean another address each time."""

    guard: Guard
    proxied = False

    def connect(self) -> None:
        super().connect()
        if not self.proxied:
            self.guard.check(str(self.sock.getpeername()[0]))


class _CheckedTls(http.client.HTTPSConnection, _Checked):
    """The same before the TLS handshake: `HTTPSConnection` connects by the class after it."""


class Checks(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens connections that a guard checks.

    Through a proxy only the proxy knows the address: there a redirect is checked by its host, where
    that is an address, and the rest is left to the proxy.
    """

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open http."""
        return self._open(_Checked, req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open https."""
        return self._open(_CheckedTls, req)

    def _open(self, kind: type[_Checked], req: urllib.request.Request) -> http.client.HTTPResponse:
        guard = self._guard
        proxied = req.has_proxy() or bool(getattr(req, "_tunnel_host", None))
        if proxied:
            host = urlsplit(req.full_url).hostname or ""
            if _is_address(host):
                guard.check(host)

        def connection(host: str, **options: Any) -> _Checked:  # noqa: ANN401 - urllib's own
            made = kind(host, **options)
            made.guard, made.proxied = guard, proxied
            return made

        return self.do_open(connection, req)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
