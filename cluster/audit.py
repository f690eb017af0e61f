"""Asks whether a known weakness is in what we ship: pip-audit over the pinned requirements.

The advisories are OSV's. An answer is kept for a day for the same requirements. Where the service
is not reached the check is skipped and says so, because nobody's work should wait for somebody
else's server, unless `FAIRLEAD_AUDIT=required`. `FAIRLEAD_ADVISORIES` names another such service.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from cluster import inputs
from cluster.paths import ROOT, ClusterError, cache_dir, forget

SHIPPED = tuple(f"requirements/{name}.txt" for name in ("operator", "runtime", "cli", "envoy"))
"""What is in images and wheels; tools of tests and builds are not shipped."""
_SERVICE = "https://api.osv.dev/v1/query"
_WHOLE_S = 40.0
_ONE_S = 5
_AWAY = re.compile(r"connection|timed? ?out|resolv|unreachable|proxy|ssl|temporar", re.IGNORECASE)


def main(argv: Sequence[str] = ()) -> int:
    """Print the verdict; 1 where a weakness is known.

    Args:
        argv: Files of requirements, from the checkout's root; without any, what is shipped.
    """
    files = tuple(argv) or SHIPPED
    try:
        found, how = _asked(files)
    except ClusterError as error:
        print(f"audit: {error}", file=sys.stderr)
        return 1
    if found is None:
        must = os.environ.get("FAIRLEAD_AUDIT") == "required"
        print(f"audit: {'failed' if must else 'skipped'}: {how}", file=sys.stderr)
        return 1 if must else 0
    for line in weaknesses(found):
        print(f"audit: {line}", file=sys.stderr)
    count = len(found["dependencies"])
    print(f"audit: {count} packages, {len(weaknesses(found))} known weaknesses ({how})")
    return 1 if weaknesses(found) else 0


def weaknesses(report: dict[str, Any]) -> list[str]:
    """Return one line for each weakness in a report of pip-audit."""
    return [
        f"{package['name']} {package['version']}: {each['id']}, "
        + (f"fixed in {', '.join(each['fix_versions'])}" if each["fix_versions"] else "not fixed")
        for package in report["dependencies"]
        for each in package.get("vulns", ())
    ]


def _asked(files: Sequence[str]) -> tuple[dict[str, Any] | None, str]:
    """Return pip-audit's report and how it came here; None where the service is not reached.

    Raises:
        ClusterError: pip-audit failed for another reason.
    """
    service = os.environ.get("FAIRLEAD_ADVISORIES") or _SERVICE
    today = dt.datetime.now(dt.UTC).date().isoformat()
    folder = cache_dir() / "audit"
    kept = folder / f"report-{inputs.digest(files, extra=service)}-{today}.json"
    if kept.is_file():
        report: dict[str, Any] = json.loads(kept.read_text())
        return report, "asked today"
    command = [
        sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "--format", "json",
        "--vulnerability-service", "osv", "--osv-url", service, "--timeout", str(_ONE_S),
        "--disable-pip", "--require-hashes",
    ]  # fmt: skip
    for name in files:
        command += ["--requirement", str(ROOT / name)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_WHOLE_S
        )
    except subprocess.TimeoutExpired:
        return None, f"{service} takes longer than {_WHOLE_S:.0f} s"
    try:
        report = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        if _AWAY.search(last):
            return None, f"{service} is not reached (offline?)"
        raise ClusterError(f"pip-audit failed: {last}") from None
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".report-{os.getpid()}"
    partial.write_text(done.stdout)
    partial.rename(kept)
    forget(folder, "report", suffix=".json")
    return report, f"by {service}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
