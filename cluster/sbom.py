"""Writes what an image is made of: CycloneDX, from what is installed in it. Standard library only.

It runs in the builds of the images (`Dockerfile.*`), under the base image's Python, which has
nothing of ours:  python3 sbom.py NAME VERSION OUTPUT [--python FOLDER]... [--dpkg] [--file PATH]...
"""

from __future__ import annotations

import argparse
import email.parser
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

PATH = "/usr/share/sbom/fairlead.cdx.json"
"""Where every image of ours has it."""
_STATUS = Path("/var/lib/dpkg/status")
_RELEASE = Path("/etc/os-release")
_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
Component = dict[str, Any]


def document(name: str, version: str, components: Iterable[Component]) -> dict[str, Any]:
    """Return the document; the same parts give the same bytes, so it has no date and no serial."""
    listed = {each["bom-ref"]: each for each in components}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "bom-ref": name,
                "name": name,
                "version": version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": [listed[ref] for ref in sorted(listed)],
    }


def python_packages(folder: Path) -> list[Component]:
    """Return the distributions that are installed below a folder."""
    found: list[Component] = []
    for path in sorted(folder.rglob("*.dist-info/METADATA")):
        head = email.parser.HeaderParser().parsestr(path.read_text(errors="replace"))
        name, version = str(head["Name"]), str(head["Version"])
        purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{quote(version)}"
        found.append(_component(name, version, purl, str(head.get("License-Expression") or "")))
    return found


def debian_packages(
    status: str, release: str, only: frozenset[str] | None = None
) -> list[Component]:
    """Return the packages of Debian.

    Args:
        status: The text of `/var/lib/dpkg/status`.
        release: The text of `/etc/os-release`.
        only: Names of the packages that count; None counts all.
    """
    facts = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', release, re.MULTILINE))
    distro = f"{facts.get('ID', 'debian')}-{facts.get('VERSION_ID', '')}".rstrip("-")
    found: list[Component] = []
    for paragraph in status.split("\n\n"):
        head = email.parser.HeaderParser().parsestr(paragraph)
        if not head["Package"] or not str(head["Status"]).endswith(" installed"):
            continue
        name, version = str(head["Package"]), str(head["Version"])
        if only is None or name in only:
            where = f"arch={head['Architecture']}&distro={distro}"
            purl = f"pkg:deb/{facts.get('ID', 'debian')}/{quote(name)}@{quote(version)}?{where}"
            found.append(_component(name, version, purl, ""))
    return found


def file(path: Path, root: Path) -> Component:
    """Return a file that no package of the image owns, by its hash."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    name = f"/{path.relative_to(root)}"
    hashes = [{"alg": "SHA-256", "content": digest}]
    return {"type": "file", "bom-ref": f"file:{name}", "name": name, "hashes": hashes}


def _component(name: str, version: str, purl: str, licence: str) -> Component:
    found: Component = {
        "type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl,
    }  # fmt: skip
    if _SPDX.fullmatch(licence):
        found["licenses"] = [{"license": {"id": licence}}]
    elif licence:
        found["licenses"] = [{"expression": licence}]
    return found


def _owners(paths: Iterable[str]) -> frozenset[str]:
    """Return the packages that files of this system are from."""
    real = [str(Path(path).resolve()) for path in paths]
    names = {word for path in real for word in (path, path.removeprefix("/usr"))}
    done = subprocess.run(
        ["dpkg", "-S", *sorted(names)], capture_output=True, text=True, check=False
    )
    return frozenset(line.partition(":")[0] for line in done.stdout.splitlines())


def main(argv: Sequence[str] | None = None) -> int:
    """Write the document."""
    parser = argparse.ArgumentParser(prog="sbom.py")
    parser.add_argument("name")
    parser.add_argument("version")
    parser.add_argument("output", type=Path)
    parser.add_argument("--python", type=Path, action="append", default=[], metavar="FOLDER")
    parser.add_argument("--dpkg", action="store_true", help="all of Debian's packages")
    parser.add_argument("--owner-of", action="append", default=[], metavar="PATH",
                        help="Debian's package of this file")  # fmt: skip
    parser.add_argument("--root", type=Path, default=Path("/"), help="where --file is seen from")
    parser.add_argument("--file", type=Path, action="append", default=[], metavar="PATH")
    args = parser.parse_args(argv)
    components = [each for folder in args.python for each in python_packages(folder)]
    if args.dpkg or args.owner_of:
        only = None if args.dpkg else _owners(args.owner_of)
        if only is not None and not only:
            parser.error(f"no package owns {', '.join(args.owner_of)}")
        components += debian_packages(_STATUS.read_text(), _RELEASE.read_text(), only)
    components += [file(path, args.root) for path in args.file]
    args.output.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document(args.name, args.version, components), indent=1) + "\n"
    args.output.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
