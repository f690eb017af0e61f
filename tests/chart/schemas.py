"""Kubernetes' own JSON schemas, one folder a version, made ready for kubeconform in the cache."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from cluster.paths import ClusterError, cache_dir, locked, log

VERSIONS = ("1.30.0", "1.31.0", "1.32.0", "1.33.0", "1.34.0", "1.35.0")
_REQUIREMENT = Path(__file__).with_name("schemas.txt")
_INSIDE = "kubernetes_validate/kubernetes-json-schema/v{version}-local-strict/"
_DEFINITIONS = "_definitions.json"


def location() -> str:
    """Return what kubeconform wants as `-schema-location`; download and unpack once."""
    key = hashlib.sha256(_REQUIREMENT.read_bytes() + Path(__file__).read_bytes()).hexdigest()[:12]
    folder = cache_dir() / "schemas" / key
    if not folder.is_dir():
        with locked(cache_dir() / "locks" / "schemas", "it is unpacking Kubernetes' schemas"):
            if not folder.is_dir():
                _make(folder)
    return str(
        folder / "{{.NormalizedKubernetesVersion}}" / "{{.ResourceKind}}{{.KindSuffix}}.json"
    )


def _make(folder: Path) -> None:
    log("downloading Kubernetes' schemas (22 MB, once)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".schemas-") as scratch:
        done = subprocess.run(
            [
                sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check",
                "--no-deps", "--require-hashes", "--only-binary", ":all:",
                "-r", str(_REQUIREMENT), "-d", scratch,
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise ClusterError(f"cannot download Kubernetes' schemas:\n{done.stderr[-800:]}")
        out = Path(scratch) / "out"
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
            for version in VERSIONS:
                _unpack(wheel, _INSIDE.format(version=version), out / f"v{version}")
        out.rename(folder)


def _unpack(wheel: zipfile.ZipFile, prefix: str, target: Path) -> None:
    """Write one version's schemas with references to the file beside them."""
    names = [name for name in wheel.namelist() if name.startswith(prefix)]
    if not names:
        raise ClusterError(f"{_REQUIREMENT.name} holds no {prefix}: take another version of it")
    target.mkdir(parents=True)
    for name in names:
        text = wheel.read(name).decode().replace(f'"/api/{_DEFINITIONS}#', f'"{_DEFINITIONS}#')
        schema = json.loads(text)
        schema.pop("$id", None)  # references would be sought there, over the network
        (target / name.removeprefix(prefix)).write_text(json.dumps(schema))
