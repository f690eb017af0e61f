"""What an image is made of, read from what is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cluster import sbom

_STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u10
Description: a library
 with a second line

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2025a-0+deb12u1
"""
_RELEASE = 'PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\nVERSION_ID="12"\n'


def test_debians_packages_are_those_that_are_installed() -> None:
    found = sbom.debian_packages(_STATUS, _RELEASE)
    assert [each["purl"] for each in found] == [
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12",
        "pkg:deb/debian/tzdata@2025a-0%2Bdeb12u1?arch=all&distro=debian-12",
    ]
    (one,) = sbom.debian_packages(_STATUS, _RELEASE, frozenset({"tzdata"}))
    assert one["name"] == "tzdata"


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("MIT", [{"license": {"id": "MIT"}}]),
        ("MIT OR Apache-2.0", [{"expression": "MIT OR Apache-2.0"}]),
        ("", None),
    ],
)
def test_python_packages_have_their_names_as_an_index_has_them(
    tmp_path: Path, licence: str, expected: object
) -> None:
    folder = tmp_path / "lib" / "Some_Thing-1.0.dist-info"
    folder.mkdir(parents=True)
    line = f"License-Expression: {licence}\n" if licence else ""
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: Some_Thing\nVersion: 1.0\n{line}"
    )
    (found,) = sbom.python_packages(tmp_path)
    assert found["purl"] == "pkg:pypi/some-thing@1.0"
    assert found.get("licenses") == expected


def test_the_same_parts_give_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    def written(*packages: str) -> str:
        parts = [part for name in packages for part in sbom.debian_packages(
            _STATUS, _RELEASE, frozenset({name}))]  # fmt: skip
        return json.dumps(sbom.document("image", "1", parts))

    assert written("libc6", "tzdata") == written("tzdata", "libc6", "tzdata")
