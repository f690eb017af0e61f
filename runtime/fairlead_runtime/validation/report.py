"""The report: at most 3 KiB of JSON, because a termination message holds only 4. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from fairlead_runtime.validation.facts import Facts
from fairlead_runtime.validation.judge import Check, Status, median_p99

LIMIT_BYTES = 3072
_LENGTHS = (400, 200, 100, 50, 25, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What `validate` found.

    Attributes:
        digest: Of the model file.
        checks: Every check in its order.
        facts: What was measured.
        threads: Threads of one inference.
        batch_size: Rows of one request in the latency and throughput measurement.
    """

    digest: str
    checks: tuple[Check, ...]
    facts: Facts
    threads: int
    batch_size: int

    @property
    def failed(self) -> Check | None:
        """The first check that failed: the one to act on."""
        return next((check for check in self.checks if check.status is Status.FAIL), None)

    @property
    def passed(self) -> bool:
        """Whether the model may be served."""
        return self.failed is None

    def document(self) -> dict[str, Any]:
        """Return the report as JSON of at most 3 KiB, integers only.

        Messages are shortened as far as it takes; verdict, reason and figures always stand.
        """
        for length in _LENGTHS:
            document = self._document(length)
            if len(json.dumps(document).encode()) <= LIMIT_BYTES:
                break
        return document

    def _document(self, length: int) -> dict[str, Any]:
        failed = self.failed
        rounds = self.facts.rounds
        message = failed.message if failed else "the model may be served"
        found: dict[str, Any] = {
            "verdict": "Fail" if failed else "Pass",
            "reason": str(failed.reason) if failed else "Validated",
            "message": _cut(message, length),
            "digest": self.digest,
            "threads": self.threads,
            "batchSize": self.batch_size,
            "loadMillis": self.facts.load_ms,
        }
        if rounds:
            found["latencyP99Micros"] = median_p99(self.facts)
            found["latencyP99BestMicros"] = min(each.p99_micros for each in rounds)
            found["latencyRuns"] = sum(each.runs for each in rounds)
        if self.facts.throughput_rps is not None:
            found["throughputRps"] = self.facts.throughput_rps
        found["checks"] = [
            {"name": each.name, "status": str(each.status), "message": _cut(each.message, length)}
            for each in self.checks
        ]
        return found


def _cut(text: str, length: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else line[: max(0, length - 3)] + "..."
