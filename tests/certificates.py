"""Certificates of an authority made for a test, in folders as a Secret's volume looks."""

from __future__ import annotations

import itertools
from pathlib import Path

from cluster import pki

_numbers = itertools.count()


class Authority:
    """An authority, and what it signs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        pki.authority(folder)

    @property
    def file(self) -> Path:
        """Its own certificate."""
        return self._folder / "ca.crt"

    def secret(self, volume: Path, *names: str) -> Path:
        """Put a new certificate into a volume as a kubelet does: a folder, then a link's move.

        Args:
            volume: Where the Secret is mounted; it need not be there.
            names: Subject alternative names as openssl writes them.
        """
        name = f"server-{next(_numbers)}"
        pki.certificate(self._folder, name, "/CN=test", names=names, server=True)
        fresh = volume / f"..{name}"
        fresh.mkdir(parents=True)
        for key, file in (
            ("tls.crt", f"{name}.crt"), ("tls.key", f"{name}.key"), ("ca.crt", "ca.crt"),
        ):  # fmt: skip
            (fresh / key).write_bytes((self._folder / file).read_bytes())
            if not (volume / key).is_symlink():
                (volume / key).symlink_to(f"..data/{key}")
        (volume / "..next").symlink_to(fresh.name)
        (volume / "..next").rename(volume / "..data")
        return volume
