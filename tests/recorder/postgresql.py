"""A real PostgreSQL for tests: Debian's package `postgresql`, a server of its own per session."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cluster import debian
from cluster.paths import ClusterError

_ACCOUNT = "postgres"


def binaries() -> Path:
    """Return the folder with `initdb` and `postgres`; install Debian's package where there is none.

    Raises:
        ClusterError: It cannot be installed here.
    """
    found = _installed()
    if found is None:
        debian.ensure({"pg_ctlcluster": "postgresql"})
        found = _installed()
    if found is None:
        raise ClusterError("PostgreSQL's initdb is not found: `apt-get install postgresql`")
    return found


def _installed() -> Path | None:
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])
    )
    program = str(versions[-1]) if versions else shutil.which("initdb")
    return None if program is None else Path(program).parent


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Run a server on loopback and yield its URL; its data is removed at the end.

    PostgreSQL does not run as root: then it runs as its own account, which the package made.
    """
    programs = binaries()
    folder = Path(tempfile.mkdtemp(prefix="fairlead-pg-"))
    start: list[str] = []
    if os.getuid() == 0:
        account = pwd.getpwnam(_ACCOUNT)
        os.chown(folder, account.pw_uid, account.pw_gid)
        start = [
            "setpriv",
            f"--reuid={account.pw_uid}",
            f"--regid={account.pw_gid}",
            "--clear-groups",
        ]
    data = folder / "data"
    subprocess.run(
        [*start, str(programs / "initdb"), "-D", str(data), "-U", "fairlead", "-A", "trust",
         "-E", "UTF8", "--locale=C", "--no-instructions"],
        check=True, capture_output=True, cwd=folder,
    )  # fmt: skip
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    control = [*start, str(programs / "pg_ctl"), "-D", str(data), "-w", "-t", "60"]
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
    log = folder / "log"
    subprocess.run(
        [*control, "-l", str(log), "-o", options, "start"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
    )  # fmt: skip
    try:
        yield f"postgresql://fairlead@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run(
            [*control, "-m", "immediate", "stop"], check=False, capture_output=True, cwd=folder
        )
        shutil.rmtree(folder, ignore_errors=True)
