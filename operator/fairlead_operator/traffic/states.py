"""What is known about an address and what may be wanted of it, as data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fairlead_operator.traffic.documents import Configuration, Versions
from fairlead_operator.traffic.errors import TrafficError
from fairlead_operator.traffic.split import Arm, Split

ROUTER = "router"
"""What the address selects while it does not select one arm's pods; no arm's key has this name."""


class State(StrEnum):
    """Where an address stands."""

    DIRECT = "Direct"
    """It selects the pods of one revision, and there is no router."""
    STARTING = "Starting"
    """The router starts, with everything to the control; the address is still direct."""
    SETTLING = "Settling"
    """The address selects the router; connections that were made before go to the old pods."""
    SPLIT = "Split"
    """The router carries out whatever is wanted."""
    DRAINING = "Draining"
    """The address is direct again; the router ends the connections that it has."""


class Hold(StrEnum):
    """Why an address does not go on by itself at once."""

    ROUTER_NOT_READY = "RouterNotReady"
    """Not every router is ready with everything to the control."""
    ROUTER_GONE = "RouterGone"
    """No router is ready: the address went back to the control's pods meanwhile."""
    ROUTER_UNCONFIRMED = "RouterUnconfirmed"
    """A router has not taken what was written."""
    SETTLING = "Settling"
    """Connections from before the flip may still be open."""
    CAPACITY_MISSING = "CapacityMissing"
    """An arm that is to grow has too few ready replicas."""
    DRAINING = "Draining"
    """The router still has connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What is wanted of an address.

    Attributes:
        stable: Who has everything where nothing is split, and who is the control where it is.
        split: The split, or None.
        always: Whether the router stays without a split (`router: Always`).
        least: The user's own minimum of replicas.
    """

    stable: Arm
    split: Split | None = None
    always: bool = False
    least: int = 1

    def __post_init__(self) -> None:
        """Refuse a split whose control is not what has the address.

        Raises:
            TrafficError: The two differ.
        """
        if self.split is not None and self.split.control != self.stable:
            raise TrafficError(
                f"the control {self.split.control.key} must be what has the address: "
                f"{self.stable.key}"
            )

    @property
    def router(self) -> bool:
        """Whether a router is wanted at all."""
        return self.always or self.split is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """One router pod.

    Attributes:
        name: The pod's name.
        ready: Whether it gets new connections.
        going: Whether it is being deleted: it still answers on the connections that it has.
        versions: What it has taken; None where it could not be asked.
        connections: Open connections of clients; None where it could not be asked.
    """

    name: str
    ready: bool
    going: bool = False
    versions: Versions | None = None
    connections: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What has to be remembered from pass to pass, because it cannot be observed.

    Attributes:
        state: Where the address stands.
        since: Since when.
        configuration: What was written for the routers last.
        written_at: When it was.
        confirmed_at: Since when every router has it: a split's clock begins here.
        at_start: The stable's replicas when the router was first wanted.
    """

    state: State = State.DIRECT
    since: dt.datetime
    configuration: Configuration | None = None
    written_at: dt.datetime | None = None
    confirmed_at: dt.datetime | None = None
    at_start: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that one decision about an address depends on, but the time.

    Attributes:
        memory: What was remembered.
        selected: ROUTER, an arm's key, or None where there is no Service.
        want: What is wanted.
        routers: The router's pods.
        routers_wanted: How many there are to be.
        replicas: Replicas by the arm's key, ready or not.
        ready: Ready replicas by the arm's key.
        sized: Replicas by the arm's key that the objectives need of it for all of the traffic.
    """

    memory: Memory
    selected: str | None
    want: Want
    routers: tuple[Router, ...] = ()
    routers_wanted: int = 2
    replicas: Mapping[str, int] = field(default_factory=dict)
    ready: Mapping[str, int] = field(default_factory=dict)
    sized: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The durations of an address's life, in seconds.

    Attributes:
        settle_s: After a flip, until a split begins: longer than a connection's age.
        connection_age_s: Age at which runtime and router end a connection.
        least_drain_s: For so long a router stays even if nobody is connected: nodes learn late.
        confirm_s: After so long a router that has not taken a document is reported.
        forget_s: After so long an unused cluster is removed: no request takes longer.
    """

    settle_s: float = 75.0
    connection_age_s: float = 60.0
    least_drain_s: float = 10.0
    confirm_s: float = 5.0
    forget_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What a decision wants. It is carried out in this order: floors, configuration, selector.

    Attributes:
        memory: What to remember, written last.
        select: What the address is to select.
        configuration: What the routers are to have; None where there is to be no router.
        floors: Least replicas by the arm's key, while there is a router.
        live: Whether all that is wanted is carried out by every router, or directly.
        hold: Why it does not go on by itself at once.
        message: For people: what it waits for.
        wake_s: When to look again without being woken; None at rest.
    """

    memory: Memory
    select: str
    configuration: Configuration | None
    floors: Mapping[str, int]
    live: bool
    hold: Hold | None = None
    message: str = ""
    wake_s: float | None = None
