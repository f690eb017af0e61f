"""Which addresses are public, and what a guard of redirects does about the others."""

from __future__ import annotations

import pytest

from fairlead_runtime.repository.addresses import Guard, link_local, public
from fairlead_runtime.repository.errors import DownloadFailedError

PUBLIC = ("8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")
PRIVATE = (
    "10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "0.0.0.0", "100.64.0.1", "224.0.0.1",
    "240.0.0.1", "198.18.0.1", "::1", "::", "fd00::1", "ff02::1", "::ffff:10.0.0.1",
    "64:ff9b::a00:1", "2002:a00:1::1",
)  # fmt: skip
LINK_LOCAL = ("169.254.169.254", "fe80::1%eth0", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe")


@pytest.mark.parametrize("address", PUBLIC)
def test_is_public(address: str) -> None:
    assert public(address)
    assert not link_local(address)


@pytest.mark.parametrize("address", [*PRIVATE, *LINK_LOCAL])
def test_is_not_public(address: str) -> None:
    assert not public(address)
    assert link_local(address) is (address in LINK_LOCAL)


@pytest.mark.parametrize("private_redirects", [True, False], ids=["allow", "deny"])
@pytest.mark.parametrize("address", [*PUBLIC, *PRIVATE, *LINK_LOCAL])
def test_the_uri_itself_may_lead_anywhere(address: str, private_redirects: bool) -> None:
    Guard("http://models", private_redirects=private_redirects).check(address)


@pytest.mark.parametrize(
    ("private_redirects", "refused"),
    [(True, LINK_LOCAL), (False, (*PRIVATE, *LINK_LOCAL))],
    ids=["allow", "deny"],
)
def test_a_redirect_may_not(private_redirects: bool, refused: tuple[str, ...]) -> None:
    guard = Guard("http://models", private_redirects=private_redirects)
    guard.redirected = True
    for address in (*PUBLIC, *PRIVATE, *LINK_LOCAL):
        if address in refused:
            with pytest.raises(DownloadFailedError, match="is redirected to") as error:
                guard.check(address)
            assert not error.value.again
        else:
            guard.check(address)
