"""The rights that an operator needs, as questions for the API server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fairlead_cli.kinds import CHILDREN, LEASE, MODEL_DEPLOYMENT, POD

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
    """

    group: str
    resource: str
    verb: str
    sub: str = ""

    def __str__(self) -> str:
        """Return it as people write it."""
        name = f"{self.resource}/{self.sub}" if self.sub else self.resource
        return f"{self.verb} {name}{'.' if self.group else ''}{self.group}"


def where_models_are() -> Iterator[Right]:
    """Yield what the operator does in each namespace that it serves."""
    mine = MODEL_DEPLOYMENT
    for verb in _READ:
        yield Right(mine.group, mine.plural, verb)
    yield Right(mine.group, mine.plural, "patch", "status")
    for child in CHILDREN:
        for verb in _CHILD:
            yield Right(child.group, child.plural, verb)
    yield Right(POD.group, POD.plural, "list")


def where_the_operator_is() -> Iterator[Right]:
    """Yield what the operator does in its own namespace."""
    yield Right(LEASE.group, LEASE.plural, "create")
