"""What a router is asked to do, as data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fairlead_operator.traffic import slots
from fairlead_operator.traffic.errors import TrafficError
from fairlead_runtime.contract.assignment import SLOTS, Table

_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_HEADER = re.compile(r"[a-z0-9!#$&'*+.^_`|~-]{1,128}")
_HOST = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?\.?")
_SALT = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A revision that can have a share of the traffic.

    Attributes:
        name: The variant's name, in the table and in `x-fairlead-variant`.
        key: What the router's clusters are named after: the revision's child name.
        host: DNS name of its headless Service.
    """

    name: str
    key: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """Copies of requests for an arm that answers nobody.

    Attributes:
        arm: The arm that gets the copies.
        share: Basis points of the requests that are copied.
        compared: Basis points that are copied and marked, so that both outputs are kept; as much as
            `share` does no harm, for the routers hold the marks at 20 a second.
    """

    arm: Arm
    share: int
    compared: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Whose exposures the answers are, for the recorder.

    Attributes:
        uid: UID of the Experiment.
        epoch: Number of the table. Only the routes tell it, so that a new one changes no listener.
    """

    uid: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A desired split of one address.

    Attributes:
        arms: The arms; the first is the control, which also serves for an arm without pods.
        table: The slot table over the arms' names.
        header: Lower-case name of the header with the user; None splits at random.
        salt: Goes before the user in the hash, so that experiments differ.
        experiment: Name of the Experiment that wants this, sent with each answer.
        mirror: Copies, if any.
        recorded: Set where the answers to users are to be recorded as exposures.
    """

    arms: tuple[Arm, ...]
    table: Table
    header: str | None = None
    salt: str = ""
    experiment: str | None = None
    mirror: Mirror | None = None
    recorded: Recorded | None = None

    def __post_init__(self) -> None:
        """Refuse what no router could do.

        Raises:
            TrafficError: The message says what is wrong.
        """
        slots.validate(self.table)
        for problem in _problems(self):
            raise TrafficError(problem)

    @property
    def control(self) -> Arm:
        """The arm of everybody who has no other."""
        return self.arms[0]

    @property
    def counts(self) -> dict[str, int]:
        """Slots by the arm's name, 0 included."""
        found = slots.counts(self.table)
        return {arm.name: found.get(arm.name, 0) for arm in self.arms}


def only(arm: Arm) -> Split:
    """Return the split that gives one arm everything."""
    return Split(arms=(arm,), table=slots.all_to(arm.name))


def _problems(split: Split) -> Iterator[str]:
    names = [arm.name for arm in split.arms]
    keys = [arm.key for arm in split.arms]
    if not names or len(set(names)) < len(names) or len(set(keys)) < len(keys):
        yield "a split needs arms, each with a name and a key of its own"
    mirrored = () if split.mirror is None else (split.mirror.arm,)
    for arm in (*split.arms, *mirrored):
        if not _LABEL.fullmatch(arm.name) or not _LABEL.fullmatch(arm.key):
            yield f"arm {arm.name!r} and its key {arm.key!r} must be DNS labels"
        if not _HOST.fullmatch(arm.host):
            yield f"host {arm.host!r} of arm {arm.name} must be a DNS name"
    unknown = {run.arm for run in split.table} - set(names)
    if unknown:
        yield f"the table names arms that are not there: {', '.join(sorted(unknown))}"
    if split.header is not None:
        if not _HEADER.fullmatch(split.header):
            yield f"header {split.header!r} must be a lower-case header name"
        if not _SALT.fullmatch(split.salt) or "%" in split.salt:
            # A percent sign would begin a command in the router's format strings.
            yield f"salt {split.salt!r} must be printable ASCII without blanks and percent signs"
    if split.recorded is not None and (split.header is None or split.recorded.epoch < 1):
        yield "exposures are of users, in an epoch from 1: name an assignment header"
    yield from _mirror_problems(split)


def _mirror_problems(split: Split) -> Iterator[str]:
    mirror = split.mirror
    if mirror is None:
        return
    if not 0 < mirror.share <= SLOTS or not 0 <= mirror.compared <= mirror.share:
        yield f"a mirror's share must be 1 to {SLOTS}, and what is compared no more than it"
    if split.header is None and sum(1 for n in split.counts.values() if n) > 1:
        # Envoy takes the arm and the copy by the same random number: all copies would be one arm's.
        yield "copies beside a random split would all be of one arm: name an assignment header"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What of a router's configuration does not change with the split.

    A change of any but `timeout_s` and ports of clusters needs new router pods: see `bootstrap`.

    Attributes:
        name: The address's name, for the node and statistics.
        timeout_s: Longest time of a request, retries included.
        latency_limits_ms: Limits that somebody is judged by: each is an edge of the histograms.
        connection_age_s: Age at which a client's connection is ended.
        workers: Envoy's worker threads.
        routers: Router pods: they share what is allowed at most.
        http_port: Port of listener and pods for HTTP.
        grpc_port: Port of listener and pods for gRPC.
        metrics_port: Where `/ready` and `/stats/prometheus` are published, and nothing else.
        admin_port: Envoy's admin interface, on loopback only.
        listen: Address that the listeners bind.
        recorder: `host:port` at which the recorder takes exposures; None where there is none.
        recorder_ca: Whom its certificate is from (PEM); empty where it speaks plain HTTP.
        collector: `host:port` of a collector of traces, OTLP over HTTP; None where there is none.
        trace_share: Share of the requests that are traced where no caller has decided.
        folder: Where the pod finds the documents that change with the split.
    """

    name: str
    timeout_s: int = 60
    latency_limits_ms: tuple[int, ...] = ()
    connection_age_s: int = 60
    workers: int = 1
    routers: int = 2
    http_port: int = 8080
    grpc_port: int = 9000
    metrics_port: int = 9902
    admin_port: int = 9901
    listen: str = "0.0.0.0"  # noqa: S104 - a pod's own address is not known before
    recorder: str | None = None
    recorder_ca: str = ""
    collector: str | None = None
    trace_share: float = 1.0
    folder: str = "/etc/fairlead/router"


def timeout_s(*, max_latency_ms: int | None, asked_s: int | None) -> int:
    """Return the longest time of a request: the user's word, else far over the latency wanted.

    Without a router a request has no limit at all, so the router's is generous: it ends what hangs.
    """
    if asked_s is not None:
        return asked_s
    return max(60, -(-(max_latency_ms or 0) * 20 // 1000))


def workers(cpu_limit_millis: int | None) -> int:
    """Return Envoy's worker threads for a CPU limit; it would have one per core of the node."""
    return max(1, -(-(cpu_limit_millis or 1000) // 1000))
