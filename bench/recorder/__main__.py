"""`make bench-recorder`: outcomes a second on SQLite and PostgreSQL, and the time of a summary.

Lines of `name: value` on standard output, progress on standard error. Each rate stands beside the
speed at which the same database takes the same rows, with the same two indexes and a commit for
each ten thousand, from a loop that does nothing else: one after the other in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.recorder import load, native
from tests.recorder import postgresql
from tests.recorder.process import recorder


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench.recorder", description=__doc__)
    parser.add_argument(
        "--outcomes", type=int, default=200_000, help="outcomes of each rate (default: %(default)s)"
    )
    parser.add_argument(
        "--summary-at", type=int, default=10_000_000,
        help="outcomes at which the summary is timed; 0 leaves it out (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--database", choices=["sqlite", "postgresql"], action="append",
        help="only this one (default: both)",
    )  # fmt: skip
    chosen = parser.parse_args()
    print(f"# load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for kind in chosen.database or ["sqlite", "postgresql"]:
        with (
            tempfile.TemporaryDirectory(prefix="fairlead-bench-") as name,
            database(kind, Path(name)) as url,
        ):
            rates(kind, url, Path(name), chosen.outcomes)
            if chosen.summary_at:
                summary(kind, url, Path(name), chosen.summary_at)
    return 0


@contextlib.contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """Yield the URL of an empty database."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/recorder.db"
    else:
        with postgresql.server() as url:
            yield url


def say(name: str, value: float, digits: int = 0) -> None:
    """Print a figure."""
    print(f"{name}: {value:.{digits}f}", flush=True)


def note(text: str) -> None:
    """Print progress."""
    print(text, file=sys.stderr, flush=True)


def rates(kind: str, url: str, folder: Path, outcomes: int) -> None:
    """Print how many outcomes a second are acknowledged, and what the database takes by itself."""
    note(f"{kind}: what the database takes by itself")
    bulk = native.insert(url, folder, outcomes)
    with recorder(url, folder, "--no-authentication", "--outcomes-per-second=1000000000",
                  "--requests-per-second=1000000000") as served:  # fmt: skip
        served.register()
        load.expose(served)
        note(f"{kind}: batches of 10,000")
        large = asyncio.run(load.send(served, outcomes, batch=10_000, senders=4))
        note(f"{kind}: batches of 100")
        small = asyncio.run(load.send(served, outcomes // 4, batch=100, senders=16))
        note(f"{kind}: one outcome a request")
        single = asyncio.run(load.send(served, outcomes // 40, batch=1, senders=32))
        counted = served.summary()["counters"]["counted"]
    again = native.insert(url, folder, outcomes)
    say(f"{kind}_bulk_rows_per_second", (bulk + again) / 2)
    say(f"{kind}_outcomes_per_second", large)
    say(f"{kind}_outcomes_percent_of_bulk", 200 * large / (bulk + again))
    say(f"{kind}_outcomes_per_second_in_batches_of_100", small)
    say(f"{kind}_outcomes_per_second_one_by_one", single)
    expected = outcomes + outcomes // 400 * 100 + outcomes // 40
    if counted != expected:
        raise SystemExit(f"{counted} outcomes were counted, {expected} sent")


def summary(kind: str, url: str, folder: Path, outcomes: int) -> None:
    """Print how long a summary takes once there are so many outcomes."""
    began = time.monotonic()
    load.fill(url, outcomes, note)
    say(f"{kind}_store_outcomes_per_second_at_{outcomes}", outcomes / (time.monotonic() - began))
    with recorder(url, folder) as served:
        times = load.summary_ms(served)
        say(f"{kind}_summary_ms_at_{outcomes}", times[len(times) // 2], 2)
        say(f"{kind}_summary_ms_slowest_of_{len(times)}", times[-1], 2)
        say(f"{kind}_rss_mib_at_{outcomes}", load.rss_mib(served))


if __name__ == "__main__":
    sys.exit(main())
