"""Evidence out of a Prometheus that scrapes the pods: the same counts as read from them directly.

It is asked for raw samples and never for rates: `increase()` estimates what was between two scrapes
and gives fractions, and who tests a hypothesis needs counts. All samples of one scrape of a pod
are one reading of it, and go into the same ledger, so resets, lost pods and windows are the same.

Scrapes need the labels `namespace` and `pod`, as a PodMonitor or the usual relabelling gives them.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import orjson

from fairlead_operator.evidence import ledger as ledgers
from fairlead_operator.evidence import modelpage, routerpage
from fairlead_operator.evidence.direct import Pods, lives
from fairlead_operator.evidence.exposition import ExpositionError, Sample
from fairlead_operator.evidence.ledger import Ledger
from fairlead_operator.evidence.readings import Reading
from fairlead_operator.evidence.scrape import body_of

LONGEST = dt.timedelta(hours=1)
"""So far back it is asked at most, for a page of bounded size."""
UNREAD_AFTER = dt.timedelta(seconds=90)
"""A ready pod without a sample for so long is unread: three scrapes at the usual interval."""
_TIMEOUT_S = 10.0
_MOST_BYTES = 64 * 1024 * 1024


class PrometheusError(Exception):
    """Prometheus could not be asked; the message says what to look at."""


@dataclass(frozen=True, slots=True)
class Scraped:
    """One sample that Prometheus has.

    Attributes:
        pod: The pod that was scraped.
        at: When it was.
        sample: The sample.
    """

    pod: str
    at: dt.datetime
    sample: Sample


async def read(
    ledger: Ledger,
    pods: Pods,
    namespace: str,
    url: str,
    session: aiohttp.ClientSession,
    *,
    now: dt.datetime,
) -> Ledger:
    """Return the ledger with all scrapes since its last readings.

    Args:
        ledger: What was counted so far.
        pods: The pods of the address.
        namespace: The pods' namespace.
        url: Where Prometheus is, without `/api`.
        session: Who asks.
        now: The instant of the pass.

    Raises:
        PrometheusError: It could not be asked; the ledger is as old as it was.
    """
    names = pods.names
    if not names:
        return ledger
    # Of a pod that was never seen no older scrape is needed: see `Ledger.advance`.
    known = (ledger.seen[name].at for name in names if name in ledger.seen)
    since = min(known, default=ledger.begin)
    answer = await _ask(url, session, query(namespace, names, now - since), now)
    return added(ledger, pods, scraped(answer), now)


def query(namespace: str, pods: Sequence[str], back: dt.timedelta) -> str:
    """Return the question for all samples of some pods."""
    seconds = max(1, min(back, LONGEST) // dt.timedelta(seconds=1) + 1)
    metrics = f"{routerpage.WANTED.pattern}|{modelpage.WANTED.pattern}"
    among = "|".join(re.escape(pod) for pod in pods)
    selector = (
        f'__name__=~"{_quoted(metrics)}",namespace="{_quoted(namespace)}",pod=~"{_quoted(among)}"'
    )
    return f"{{{selector}}}[{seconds}s]"


def scraped(answer: Any) -> Iterator[Scraped]:  # noqa: ANN401 - JSON
    """Return the samples of an answer.

    Raises:
        PrometheusError: It is none.
    """
    try:
        for series in answer["data"]["result"]:
            labels: Mapping[str, str] = series["metric"]
            for time, value in series["values"]:
                at = dt.datetime.fromtimestamp(float(time), dt.UTC)
                yield Scraped(labels["pod"], at, Sample(labels["__name__"], labels, float(value)))
    except (KeyError, TypeError, ValueError) as error:
        raise PrometheusError(f"Prometheus answered something else: {error!r}") from error


def added(ledger: Ledger, pods: Pods, found: Iterator[Scraped], now: dt.datetime) -> Ledger:
    """Return the ledger with samples. Pure.

    Args:
        ledger: What was counted so far.
        pods: The pods of the address.
        found: Samples, in any order; those that the ledger has are left out.
        now: The instant of the pass.
    """
    arms = {pod.name: pod.arm for pod in pods.models}
    scrapes: dict[str, dict[dt.datetime, list[Sample]]] = {}
    for each in found:
        known = ledger.seen.get(each.pod)
        if each.at >= ledger.begin and (known is None or each.at > known.at):
            scrapes.setdefault(each.pod, {}).setdefault(each.at, []).append(each.sample)
    readings = {pod: list(_readings(pod, arms.get(pod), at)) for pod, at in scrapes.items()}
    there, needed = pods.names, pods.ready
    for turn in range(max(map(len, readings.values()), default=0)):
        some = [each[turn] for each in readings.values() if turn < len(each)]
        ledger = ledger.advance(some, (), keys=pods.keys, pods=there, needed=())
    ledger = ledger.advance((), lives(pods), keys=pods.keys, pods=there, needed=needed)
    seen = ledger.seen
    old = [pod for pod in needed if pod not in seen or now - seen[pod].at > UNREAD_AFTER]
    return replace(ledger, unread=tuple(sorted(old)))


class Prometheus:
    """Counts of several addresses out of one Prometheus, each since an instant of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ledgers: dict[str, Ledger] = {}

    async def read(
        self,
        address: str,
        pods: Pods,
        namespace: str,
        since: dt.datetime,
        session: aiohttp.ClientSession,
    ) -> Ledger:
        """Return what was counted since an instant; see `Direct.read`.

        Raises:
            PrometheusError: It could not be asked.
        """
        now = dt.datetime.now(dt.UTC)
        known = self._ledgers.get(address)
        if known is None or known.begin < since:
            # The samples of the past are there: nothing has to be read at the beginning itself.
            known = ledgers.new(since)
        grown = await read(known, pods, namespace, self._url, session, now=now)
        self._ledgers[address] = grown
        return grown

    def forget(self, address: str) -> None:
        """Count an address no more."""
        self._ledgers.pop(address, None)


def _readings(
    pod: str, arm: str | None, scrapes: Mapping[dt.datetime, list[Sample]]
) -> Iterator[Reading]:
    for at, samples in sorted(scrapes.items()):
        try:
            if arm is None:
                yield routerpage.of_samples(pod, at, samples)
            else:
                yield modelpage.of_samples(pod, arm, at, samples)
        except ExpositionError:
            continue  # a scrape that broke off


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


async def _ask(url: str, session: aiohttp.ClientSession, asked: str, now: dt.datetime) -> Any:  # noqa: ANN401 - JSON
    form = {"query": asked, "time": f"{now.timestamp():.3f}", "timeout": f"{_TIMEOUT_S:g}s"}
    limit = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    try:
        async with session.post(f"{url}/api/v1/query", data=form, timeout=limit) as answer:
            if answer.status != 200:  # noqa: PLR2004 - OK
                said = (await answer.text())[:300]
                raise PrometheusError(f"{url} answered {answer.status}: {said}")
            body = await body_of(answer, _MOST_BYTES)
            if body is None:
                raise PrometheusError(f"{url} answered more than {_MOST_BYTES} bytes")
            return orjson.loads(body)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise PrometheusError(f"{url} cannot be asked: {error!r}") from error
