"""A port of this machine's loopback that leads to a Service, whatever the cluster is."""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from cluster import build
from cluster.controlplane import die_with_parent
from cluster.paths import ClusterError


@contextlib.contextmanager
def forwarded(kubeconfig: Path, namespace: str, target: str, port: int) -> Iterator[str]:
    """Forward to a target such as `service/fraud` meanwhile.

    Yields:
        The base URL, for example `http://127.0.0.1:40123`.

    Raises:
        ClusterError: kubectl could not; the message is its own.
    """
    command = [
        str(build.program("kubectl")), "--kubeconfig", str(kubeconfig), "-n", namespace,
        "port-forward", "--address", "127.0.0.1", target, f":{port}",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=die_with_parent,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    readers: list[threading.Thread] = []
    try:
        found = re.search(r":(\d+) ->", process.stdout.readline())
        if found is None:
            process.terminate()
            raise ClusterError(f"port-forward to {target}: {process.stderr.read().strip()}")
        # kubectl says a line for each connection: nobody reading would stop it one day.
        readers = [
            threading.Thread(target=stream.read, daemon=True)
            for stream in (process.stdout, process.stderr)
        ]
        for reader in readers:
            reader.start()
        yield f"http://127.0.0.1:{found.group(1)}"
    finally:
        process.terminate()
        process.wait(timeout=10)
        for reader in readers:
            reader.join(timeout=10)
        process.stdout.close()
        process.stderr.close()
