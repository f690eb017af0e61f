"""Users who ask a model, for a tutorial: paced requests, and what they do afterwards.

Each request is one held-out row and, in turn, one of many made-up users. With a recorder's address
each user's first answer is followed by an outcome: a "conversion" with the probability that is set
for the variant that answered. What an Experiment finds can so be compared with what is true.

Only the standard library, so that it runs in any image with Python: here in the runtime's own.
"""

from __future__ import annotations

import csv
import http.client
import itertools
import json
import os
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPORT_S = 10.0
MAX_RATE = 50.0
_TIMEOUT_S = 10.0


@dataclass
class Recorder:
    """Where outcomes go, and how often a user of a variant converts."""

    host: str
    experiment: str
    rates: dict[str, float]
    token: Path
    known: set[str] = field(default_factory=set)
    waiting: list[dict[str, Any]] = field(default_factory=list)

    def saw(self, user: str, variant: str) -> None:
        """Draw the outcome of a user whom a variant answered for the first time."""
        if user in self.known or variant not in self.rates:
            return
        self.known.add(user)
        # The user's own generator: the same outcome whenever this program is started again.
        converts = random.Random(f"{self.experiment}:{user}").random() < self.rates[variant]
        outcome = {"key": user, "unit": user, "metric": "conversion", "value": converts}
        self.waiting.append(outcome)

    def send(self) -> str:
        """Send what waits; keep it where the recorder does not take it."""
        if not self.waiting:
            return "no new outcomes"
        head = {"Content-Type": "application/json"}
        if self.token.exists():
            head["Authorization"] = f"Bearer {self.token.read_text().strip()}"
        body = json.dumps({"outcomes": self.waiting[:10_000]})
        try:
            connection = http.client.HTTPConnection(self.host, timeout=_TIMEOUT_S)
            path = f"/v1/experiments/{self.experiment}/outcomes"
            connection.request("POST", path, body, head)
            answer = connection.getresponse()
            text = answer.read().decode()
            connection.close()
        except OSError as error:
            return f"recorder: {error}; {len(self.waiting)} outcomes wait"
        if answer.status != 200:
            return f"recorder: {answer.status} {text[:200]}; {len(self.waiting)} outcomes wait"
        sent, self.waiting = self.waiting[:10_000], self.waiting[10_000:]
        return f"{len(sent)} outcomes sent"


def rows(path: Path) -> list[list[float]]:
    """Read the features of a CSV file whose last column is the label."""
    with path.open(newline="") as file:
        _, *lines = csv.reader(file)
    return [[float(cell) for cell in line[:-1]] for line in lines]


def ask(connection: http.client.HTTPConnection, row: list[float], user: str) -> tuple[str, str]:
    """Send one request; return what it came to, and the variant that answered."""
    body = json.dumps({"features": row})
    headers = {"Content-Type": "application/json", "x-user-id": user}
    try:
        connection.request("POST", "/predict", body, headers)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return f"no answer ({type(error).__name__})", ""
    variant = answer.headers.get("x-fairlead-variant", "")
    if answer.status != 200:
        return f"status {answer.status}", variant
    return f"version {json.loads(text)['model_version']}", variant


def main() -> int:
    """Ask until stopped; print every ten seconds what the answers were."""
    host = os.environ["MODEL"]
    rate = min(float(os.environ.get("RATE", "20")), MAX_RATE)
    users = int(os.environ.get("USERS", "100000"))
    scale = float(os.environ.get("SCALE_FIRST_FEATURE", "1"))
    data = rows(Path(os.environ.get("ROWS", "/traffic/held-out.csv")))
    recorder = None
    if os.environ.get("RECORDER"):
        recorder = Recorder(
            host=os.environ["RECORDER"],
            experiment=os.environ["EXPERIMENT"],
            rates=json.loads(os.environ["CONVERSION"]),
            token=Path("/var/run/secrets/fairlead/token"),
        )
    connection = http.client.HTTPConnection(host, timeout=_TIMEOUT_S)
    counts: Counter[str] = Counter()
    due = reported = time.monotonic()
    for number in itertools.count():
        row = list(data[number % len(data)])
        row[0] *= scale
        user = f"user-{number % users}"
        came_to, variant = ask(connection, row, user)
        counts[came_to] += 1
        if recorder is not None and came_to.startswith("version"):
            recorder.saw(user, variant)
        if time.monotonic() - reported >= REPORT_S:
            told = ", ".join(f"{count} x {what}" for what, count in sorted(counts.items()))
            extra = f"; {recorder.send()}" if recorder is not None else ""
            print(f"{told}{extra}", flush=True)
            counts.clear()
            reported = time.monotonic()
        due = max(due + 1 / rate, time.monotonic() - 1)
        time.sleep(max(0.0, due - time.monotonic()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
