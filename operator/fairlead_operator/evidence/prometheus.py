"""Evidence out of a Prometheus that scrapes the pods: the same counts as read from them directly.

It is asked for raw samples and never for rates: `increase()` estimates what was between two scrapes
and gives fractions, and who tests a hypothesis needs counts. All samples of one scrape of a pod
are one reading of it, and go into the same ledger, so resets, lost pods and windows are the same.

Scrapes need the labels `namespace` and `pod`, as a PodMonitor or the usual relabelling gives them.
What was scraped while no operator ran is there, and so it is asked for; but not what pods counted
that are gone by then, and not what is older than an hour: that is in the stored ledger.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
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
from fairlead_operator.evidence.session import Asking

log = logging.getLogger(__name__)

LONGEST = dt.timedelta(hours=1)
"""So far back it is asked at most, for a page of bounded size."""
UNREAD_AFTER = dt.timedelta(seconds=90)
"""A ready pod without a sample for so long is unread: three scrapes at the usual interval. Counts
that are older pass nothing, so that with an interval of more than a minute hardly any do."""
APART = dt.timedelta(seconds=1)
"""A scrape that follows another one of the same pod sooner is left out: where two Prometheus
scrape, by two clocks, it may be the older one of the two, and its counters would seem to fall."""
_TIMEOUT_S = 10.0
_MOST_BYTES = 64 * 1024 * 1024
_MOST_WORDS = 300


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
    # Of a pod that was never seen no older scrape is needed: see `Ledger.advance`. One that has
    # not been scraped for long has no older ones, and makes nobody ask for hours.
    known = [ledger.seen[name].at for name in names if name in ledger.seen]
    newest = max(known, default=ledger.begin)
    since = min((at for at in known if newest - at <= UNREAD_AFTER), default=ledger.begin)
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
                number = float(value)
                if math.isfinite(number):
                    at = dt.datetime.fromtimestamp(float(time), dt.UTC)
                    yield Scraped(labels["pod"], at, Sample(labels["__name__"], labels, number))
    except (KeyError, TypeError, ValueError) as error:
        raise PrometheusError(f"Prometheus answered something else: {error!r}") from error


def added(ledger: Ledger, pods: Pods, found: Iterator[Scraped], now: dt.datetime) -> Ledger:
    """Return the ledger with samples. Pure.

    Args:
        ledger: What was counted so far.
        pods: The pods of the address.
        found: Samples, in any order; those that the ledger has are left out.
        now: The instant of the pass.

    Returns:
        The ledger. A pod that has never been scraped holds nobody up: it is unread when it has been
        there for so long that it should have been.
    """
    arms = {pod.name: pod.arm for pod in pods.models}
    scrapes: dict[str, dict[dt.datetime, list[Sample]]] = {}
    for each in found:
        known = ledger.seen.get(each.pod)
        if each.at >= ledger.begin and (known is None or each.at - known.at >= APART):
            scrapes.setdefault(each.pod, {}).setdefault(each.at, []).append(each.sample)
    readings = {pod: list(_readings(pod, arms.get(pod), at)) for pod, at in scrapes.items()}
    there = pods.names
    for turn in range(max(map(len, readings.values()), default=0)):
        some = [each[turn] for each in readings.values() if turn < len(each)]
        ledger = ledger.advance(some, (), keys=pods.keys, pods=there, needed=())
    scraped_once = [pod for pod in pods.ready if pod in ledger.seen]
    ledger = ledger.advance((), lives(pods), keys=pods.keys, pods=there, needed=scraped_once)
    last = {pod.name: max(ledger.begin, pod.created) for pod in pods.routers}
    last |= {pod.name: max(ledger.begin, pod.created) for pod in pods.models}
    last |= {pod: reading.at for pod, reading in ledger.seen.items()}
    old = [pod for pod in pods.ready if now - last[pod] > UNREAD_AFTER]
    return replace(ledger, unread=tuple(sorted(old)), trouble="")


class Prometheus(Asking):
    """Counts of several addresses out of one Prometheus, each since an instant of its own.

    Use it as a context manager.
    """

    stale_after_s = UNREAD_AFTER.total_seconds()

    def __init__(self, url: str) -> None:
        """Say where it is.

        Args:
            url: Its URL, without a slash at the end.
        """
        self._url = url
        self._ledgers: dict[str, Ledger] = {}
        self._trouble = ""

    async def read(self, address: str, pods: Pods, since: dt.datetime) -> Ledger:
        """Return what was counted since an instant.

        Args:
            address: `namespace/name`; what the counts are kept under.
            pods: The pods.
            since: What happened before is not counted. Where it moves on, counting begins anew.

        Returns:
            The ledger. Where Prometheus cannot be asked it is as old as it was, and says why.
        """
        if self._session is None:
            raise RuntimeError("a Prometheus is used with `async with`")
        now = dt.datetime.now(dt.UTC)
        known = self._ledgers.get(address) or ledgers.new(since)
        if known.begin < since:
            # The samples of the past are there: nothing has to be read at the beginning itself.
            # How often containers had restarted is not.
            known = replace(ledgers.new(since), restarts=known.restarts)
        namespace, _, _ = address.partition("/")
        try:
            grown = await read(known, pods, namespace, self._url, self._session, now=now)
        except PrometheusError as error:
            # Restarts are the cluster's word, and are known all the same.
            grown = replace(added(known, pods, iter(()), now), trouble=str(error))
        self._tell(grown.trouble)
        self._ledgers[address] = grown
        return grown

    def knows(self, address: str) -> bool:
        """Whether an address has been read, or restored, and not been forgotten."""
        return address in self._ledgers

    def restore(self, address: str, ledger: Ledger) -> None:
        """Go on with a ledger that was stored, unless the address is known already."""
        self._ledgers.setdefault(address, ledger)

    def forget(self, address: str) -> None:
        """Count an address no more."""
        self._ledgers.pop(address, None)

    def _tell(self, trouble: str) -> None:
        """Log when it begins and ends, and not with each pass."""
        if trouble and not self._trouble:
            log.warning("evidence cannot be read: %s", trouble)
        elif self._trouble and not trouble:
            log.info("evidence can be read again: %s answers", self._url)
        self._trouble = trouble


def _readings(
    pod: str, arm: str | None, scrapes: Mapping[dt.datetime, list[Sample]]
) -> Iterator[Reading]:
    last: dt.datetime | None = None
    for at, samples in sorted(scrapes.items()):
        if last is not None and at - last < APART:
            continue
        try:
            if arm is None:
                yield routerpage.of_samples(pod, at, samples)
            else:
                yield modelpage.of_samples(pod, arm, at, samples)
        except ExpositionError:
            continue  # a scrape that broke off
        last = at


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


async def _ask(url: str, session: aiohttp.ClientSession, asked: str, now: dt.datetime) -> Any:  # noqa: ANN401 - JSON
    form = {"query": asked, "time": f"{now.timestamp():.3f}", "timeout": f"{_TIMEOUT_S:g}s"}
    limit = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    try:
        async with session.post(
            f"{url}/api/v1/query", data=form, timeout=limit, allow_redirects=False
        ) as answer:
            if answer.status != 200:  # noqa: PLR2004 - OK
                said = (await answer.content.read(_MOST_WORDS)).decode(errors="replace")
                raise PrometheusError(f"{url} answered {answer.status}: {said}"[:_MOST_WORDS])
            body = await body_of(answer, _MOST_BYTES)
            if body is None:
                raise PrometheusError(f"{url} answered more than {_MOST_BYTES} bytes")
            return orjson.loads(body)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        why = str(error) or type(error).__name__
        raise PrometheusError(f"{url} cannot be asked: {why}"[:_MOST_WORDS]) from error
