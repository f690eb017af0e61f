"""A real container registry for tests, in memory on 127.0.0.1, from where containerd pulls too."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator

import httpx

from cluster.build import program
from cluster.controlplane import die_with_parent, free_ports


@contextlib.contextmanager
def registry(port: int | None = None) -> Iterator[str]:
    """Run one meanwhile.

    Args:
        port: Where; None takes one that is free.

    Yields:
        Its `host:port`, as images there begin.
    """
    host = f"127.0.0.1:{port or free_ports(1)[0]}"
    process = subprocess.Popen(
        [program("registry"), host],
        preexec_fn=die_with_parent,  # noqa: PLW1509 - it only sets a flag
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"http://{host}/v2/", trust_env=False).status_code == 200:
                    break
            assert time.monotonic() < deadline, "the registry does not answer"
            assert process.poll() is None, "the registry ended"
            time.sleep(0.05)
        yield host
    finally:
        process.kill()
        process.wait()
