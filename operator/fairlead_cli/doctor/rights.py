"""The rights that an operator needs, as questions for the API server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fairlead_cli.kinds import CHILDREN, EVENT, LEASE, MODEL_DEPLOYMENT, POD, REPORTED_EVENT

_READ = ("get", "list", "watch")
_CHILD = (*_READ, "create", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Right:
    """A verb on a resource.

    Attributes:
        group: API group.
        resource: Plural name.
        verb: What is done.
        sub: Subresource, or nothing.
        name: The one object that it is about, or nothing.
    """

    group: str
    resource: str
    verb: str
    sub: str = ""
    name: str = ""

    def __str__(self) -> str:
        """Return it as people write it."""
        name = f"{self.resource}/{self.sub}" if self.sub else self.resource
        group = f".{self.group}" if self.group else ""
        return f"{self.verb} {name}{group}{f' {self.name}' if self.name else ''}"


def where_models_are() -> Iterator[Right]:
    """Yield what the operator does in each namespace that it serves."""
    mine = MODEL_DEPLOYMENT
    for verb in _READ:
        yield Right(mine.group, mine.plural, verb)
    yield Right(mine.group, mine.plural, "patch", "status")
    for child in CHILDREN:
        for verb in _CHILD:
            yield Right(child.group, child.plural, verb)
    for verb in ("list", "patch"):
        yield Right(POD.group, POD.plural, verb)
    yield Right(EVENT.group, EVENT.plural, "list")
    yield Right(REPORTED_EVENT.group, REPORTED_EVENT.plural, "create")


def where_the_operator_is(lease: str) -> Iterator[Right]:
    """Yield what the operator does in its own namespace, with its Lease's name."""
    for verb in ("get", "update"):
        yield Right(LEASE.group, LEASE.plural, verb, name=lease)
    yield Right(LEASE.group, LEASE.plural, "create")
