"""A paced client inside the cluster that sends several rows at once; standard library only.

Its one argument is what it does, as JSON: see `Feed` in `drifting.py`. Users come round. The rows
of a user whom a certain version answers can go through a broken step, as where a new model comes
with a new feature pipeline. Prints a JSON line for each answer.
"""

from __future__ import annotations

import http.client
import json
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

ROWS: list[list[float]] = json.loads(Path(__file__).with_name("rows.json").read_text())
stopping = threading.Event()


def ask(host: str, rows: list[list[float]], user: str, request: str) -> dict[str, Any]:
    """Send rows on a connection of their own; return who answered, and what."""
    connection = http.client.HTTPConnection(host, timeout=20)
    try:
        headers = {"Content-Type": "application/json", "x-user-id": user, "x-request-id": request}
        connection.request("POST", "/predict", json.dumps({"features": rows}), headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise ValueError(f"status {answer.status}: {content[:200]!r}")
        document = json.loads(content)
        return {"version": document["model_version"], "predictions": document["prediction"]}
    finally:
        connection.close()


def main(feed: dict[str, Any]) -> None:
    """Send requests, each at its own moment, until there have been enough or until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    drawn = None if feed["seed"] is None else random.Random(feed["seed"])  # noqa: S311 - a test
    answered: dict[str, str] = {}
    due = time.monotonic()
    for number in range(feed["requests"]):
        if stopping.wait(max(0.0, due - time.monotonic())):
            break
        user = f"u{number % feed['users']}"
        start = number * feed["size"]
        rows = [
            list(drawn.choice(ROWS) if drawn else ROWS[(start + each) % len(ROWS)])
            for each in range(feed["size"])
        ]
        broken = feed["only"] in (None, answered.get(user))
        for row in rows if broken else ():
            row[feed["column"]] *= feed["factor"]
        request = f"{feed['name']}-{number}"
        line: dict[str, Any] = {"number": number, "user": user, "at": round(time.time(), 3)}
        line["request"] = request
        try:
            line |= ask(feed["host"], rows, user, request)
            answered[user] = line["version"]
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            line["error"] = f"{type(error).__name__}: {error}"
        print(json.dumps(line), flush=True)
        due += 1 / feed["rate"]
    print(json.dumps({"done": True}), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
