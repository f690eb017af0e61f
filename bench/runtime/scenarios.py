"""What is measured: which model, how many connections, how many rows, sent how."""

from __future__ import annotations

from dataclasses import dataclass

from bench.runtime import models
from bench.runtime.bodies import Kind


@dataclass(frozen=True)
class Scenario:
    """One kind of load.

    Attributes:
        name: What tables call it.
        sizes: Layers of the model.
        connections: Clients, each with one request under way.
        rows: Rows of a request; 0 is one row, in the simple kind without a list around it.
        kinds: Bodies, best first: a server gets the first one that it speaks.
        grpc: Whether it goes by gRPC instead.
        full: Whether our server with prediction log and drift profile takes part.
    """

    name: str
    sizes: tuple[int, ...]
    connections: int
    rows: int
    kinds: tuple[Kind, ...] = (Kind.SIMPLE, Kind.V2)
    grpc: bool = False
    full: bool = False

    @property
    def model(self) -> str:
        """Name of the model."""
        return "small" if self.sizes is models.SMALL else "medium"


SCENARIOS = (
    Scenario("small-c1", models.SMALL, 1, 0, full=True),
    Scenario("small-c8", models.SMALL, 8, 0, full=True),
    Scenario("small-c32", models.SMALL, 32, 0, full=True),
    Scenario("rows64-c8", models.SMALL, 8, 64),
    Scenario("rows64-binary-c8", models.SMALL, 8, 64, (Kind.BINARY,)),
    Scenario("medium-c32", models.MEDIUM, 32, 0),
    Scenario("medium-binary-c32", models.MEDIUM, 32, 0, (Kind.BINARY,)),
    Scenario("grpc-c8", models.SMALL, 8, 1, grpc=True),
)
