"""Who speaks no HTTP/2 does not pay for it."""

from __future__ import annotations

import subprocess
import sys


def test_a_server_of_http_1_1_has_loaded_nothing_of_http2() -> None:
    program = (
        "import sys, fairlead_runtime.http.edge_server, fairlead_runtime.http.server\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "sys.exit(' '.join(loaded & {'h2', 'hpack', 'hyperframe'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.stderr.strip(), done.returncode) == ("", 1)  # exit with a text is status 1
