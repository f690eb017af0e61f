"""Python environments in the cache, one per content of their requirements, shared by checkouts."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cluster.paths import ROOT, ClusterError, cache_dir, forget, locked, log

REQUIREMENTS = ROOT / "requirements"


def environment(name: str) -> Path:
    """Return the folder of a virtual environment with `requirements/<name>.txt`; make it once.

    An interrupted installation leaves nothing half-made. Our own package is not in it.

    Raises:
        ClusterError: There are no such requirements, or pip failed; the message has its last lines.
    """
    wanted = REQUIREMENTS / f"{name}.txt"
    if not wanted.is_file():
        raise ClusterError(f"there is no {wanted.relative_to(ROOT)}")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    key = hashlib.sha256(wanted.read_bytes() + python.encode()).hexdigest()[:12]
    target = cache_dir() / "venv" / f"{name}-{key}"
    if (target / ".complete").exists():
        return target
    with locked(cache_dir() / "locks" / f"venv-{name}", f"it is installing {name}"):
        if (target / ".complete").exists():
            return target
        started = time.monotonic()
        log(f"installing requirements/{name}.txt (once; later it comes from {cache_dir()})")
        shutil.rmtree(target, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(target)])
        _run([
            str(target / "bin" / "python"), "-m", "pip", "install", "-q",
            "--disable-pip-version-check", "--no-deps", "--require-hashes", "-r", str(wanted),
        ])  # fmt: skip
        (target / ".complete").touch()
        forget(target.parent, name)
        log(f"installed {name} in {time.monotonic() - started:.0f} s")
    return target


def wheel() -> Path:
    """Build the wheel of this checkout and return its file, in a new folder under the cache."""
    from cluster import inputs

    key = inputs.digest(inputs.WHEEL)
    folder = cache_dir() / "wheels" / key
    found = sorted(folder.glob("fairlead-*.whl"))
    if found:
        return found[0]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(cache_dir() / "locks" / "wheel", "it is building the wheel"):
        found = sorted(folder.glob("fairlead-*.whl"))
        if found:
            return found[0]
        python = environment("build") / "bin" / "python"
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".wheel-") as scratch:
            out = Path(scratch) / "out"
            _run([
                str(python), "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps",
                "--no-build-isolation", "-w", str(out), str(ROOT),
            ])  # fmt: skip
            shutil.rmtree(folder, ignore_errors=True)
            out.rename(folder)
    return next(iter(folder.glob("fairlead-*.whl")))


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = (done.stdout + done.stderr).strip()[-800:]
        raise ClusterError(f"{' '.join(argv[:4])} failed:\n{tail}")
