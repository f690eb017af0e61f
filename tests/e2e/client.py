"""A paced client that runs inside the cluster; standard library only.

Sends one request every `1 / rate` seconds, every second one on a connection of its own and the
others on one kept alive, and prints a JSON line for each answer.
"""

from __future__ import annotations

import http.client
import json
import signal
import sys
import time
from typing import Any

stopping = False


def stop(*_: object) -> None:
    global stopping  # noqa: PLW0603 - a signal handler has nowhere else to write
    stopping = True


def ask(connection: http.client.HTTPConnection, body: bytes) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/predict", body, headers)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise ValueError(f"status {answer.status}: {content[:200]!r}")
    document: dict[str, Any] = json.loads(content)
    document["closes"] = answer.getheader("Connection", "") == "close"
    return document


def main(host: str, rate: float, seconds: float, body: bytes) -> None:
    signal.signal(signal.SIGTERM, stop)
    kept = http.client.HTTPConnection(host, timeout=10)
    ends = time.monotonic() + seconds
    number = 0
    while not stopping and time.monotonic() < ends:
        began = time.monotonic()
        number += 1
        fresh = number % 2 == 0
        connection = http.client.HTTPConnection(host, timeout=10) if fresh else kept
        line: dict[str, Any] = {"number": number, "fresh": fresh, "at": round(time.time(), 3)}
        try:
            answer = ask(connection, body)
            line |= {"version": answer["model_version"], "prediction": answer["prediction"]}
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            line["error"] = f"{type(error).__name__}: {error}"
            connection.close()
        if fresh:
            connection.close()
        print(json.dumps(line), flush=True)
        time.sleep(max(0.0, 1 / rate - (time.monotonic() - began)))
    print(json.dumps({"done": number}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), sys.argv[4].encode())
