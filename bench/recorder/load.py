"""Load on a recorder: units, outcomes in batches, and a database full of them."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import orjson

from fairlead_recorder.store import database, experiments, exposures, outcomes, schema
from fairlead_recorder.store.events import SCALE, Exposure, Outcome
from tests.recorder import otlp
from tests.recorder.process import Recorder
from tests.recorder.worlds import a_definition, arm_of

UNITS = 50_000
_keys = itertools.count()


def expose(served: Recorder) -> None:
    """Have all units exposed."""
    for start in range(0, UNITS, 10_000):
        units = [f"user-{i}" for i in range(start, start + 10_000)]
        entries = [(f"pepper:{unit}", arm_of(unit), arm_of(unit)) for unit in units]
        body = otlp.export(entries, uid=served.uid, at=time.time_ns())
        otlp.send(served, body).raise_for_status()


def bodies(count: int, batch: int) -> list[bytes]:
    """Return requests, ready to be sent."""
    made = []
    for _ in range(count // batch):
        listed = []
        for _ in range(batch):
            i = next(_keys)
            mixed = i * 2_654_435_761 % 2**32
            listed.append({
                "key": f"order-{mixed:08x}-{i}", "unit": f"user-{mixed % UNITS}",
                "metric": "revenue" if mixed % 2 else "conversion", "value": 1,
            })  # fmt: skip
        made.append(orjson.dumps({"outcomes": listed}))
    return made


async def send(served: Recorder, count: int, *, batch: int, senders: int) -> float:
    """Send outcomes and return how many a second were acknowledged."""
    waiting = bodies(count, batch)
    total = len(waiting) * batch
    headers = {"content-type": "application/json"}
    path = f"{served.url}{served.path}/outcomes"

    async def one() -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            while waiting:
                answer = await client.post(path, content=waiting.pop(), headers=headers)
                answer.raise_for_status()

    began = time.monotonic()
    await asyncio.gather(*(one() for _ in range(senders)))
    return total / (time.monotonic() - began)


def fill(url: str, count: int, note: Callable[[str], None]) -> None:
    """Record outcomes through the store, as the writing thread does, of a million units."""
    session = database.connect(url)
    schema.migrate(session)
    session.begin()
    experiments.register(session, a_definition(uid="large", window=10**15), 0)
    found = experiments.of_name(session, "shop", "checkout", "large")
    session.commit()
    units = min(1_000_000, count // 2)
    now = time.time_ns() // 1_000
    for start in range(0, units, 10_000):
        names = [f"user-{i}" for i in range(start, min(units, start + 10_000))]
        session.begin()
        exposures.record(session, found, [Exposure(name, arm_of(name), 1, now) for name in names])
        session.commit()
    for start in range(0, count, 10_000):
        made = []
        for i in range(start, start + 10_000):
            mixed = i * 2_654_435_761 % 2**32
            metric, value = ("revenue", mixed % 10_000) if mixed % 2 else ("conversion", SCALE)
            unit = f"user-{mixed % units}"
            made.append(Outcome(f"order-{mixed:08x}-{i}", unit, metric, value, now))
        session.begin()
        outcomes.record(session, found, made, now)
        session.commit()
        if start % 500_000 == 0:
            note(f"{start} of {count} outcomes")
    session.close()


def summary_ms(served: Recorder, looks: int = 50) -> list[float]:
    """Return how long summaries took over HTTP, the fastest first."""
    path = f"{served.url}{served.path}/summary?uid=large"
    times = []
    with httpx.Client(trust_env=False) as client:
        client.get(path).raise_for_status()
        for _ in range(looks):
            began = time.perf_counter()
            client.get(path).raise_for_status()
            times.append((time.perf_counter() - began) * 1_000)
    return sorted(times)


def rss_mib(served: Recorder) -> float:
    """Return the recorder's resident set."""
    status = Path(f"/proc/{served.pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    if found is None:
        raise SystemExit("the kernel does not tell VmRSS: this needs Linux")
    return int(found[1]) / 1_024
