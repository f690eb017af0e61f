"""The documents that a router reads, and the versions by which it tells what it has taken.

Their order matters: clusters and listeners must be taken by every router before routes that need
them are written. `address` sees to that; each document has a version of its own for it.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairlead_operator.traffic import clusters
from fairlead_operator.traffic.bootstrap import bootstrap
from fairlead_operator.traffic.check import problems
from fairlead_operator.traffic.errors import TrafficError
from fairlead_operator.traffic.listeners import listeners
from fairlead_operator.traffic.routes import route_table
from fairlead_operator.traffic.split import Arm, Settings, Split

BOOTSTRAP = "bootstrap.json"
CLUSTERS = "clusters.json"
LISTENERS = "listeners.json"
ROUTES = {protocol: f"routes-{protocol}.json" for protocol in clusters.PROTOCOLS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What a router is to have: a split, and clusters for at least its arms.

    Attributes:
        split: The split that the routes carry out.
        arms: The arms that have clusters; the first is the control.
        mirrored: The arms that have clusters for copies.
    """

    split: Split
    arms: tuple[Arm, ...]
    mirrored: tuple[Arm, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """Which documents a router has taken, as its statistics tell; empty where it took none."""

    clusters: str = ""
    listeners: str = ""
    routes_http: str = ""
    routes_grpc: str = ""


def of(split: Split) -> Configuration:
    """Return the configuration with the clusters that a split needs and no others."""
    arms, mirrored = clusters.used(split)
    return Configuration(split=split, arms=arms, mirrored=mirrored)


def files(configuration: Configuration, settings: Settings) -> dict[str, str]:
    """Return the documents that change with the split, by file name.

    Raises:
        TrafficError: They would not work: nothing may be written.
    """
    rendered = _rendered(configuration, settings)
    found = problems(rendered)
    if found:
        raise TrafficError(f"the router's configuration is not written: {'; '.join(found)}")
    return {name: _text(document) for name, document in rendered.items()}


def bootstrap_file(settings: Settings) -> str:
    """Return the bootstrap document; with other content the routers need new pods."""
    return _text(bootstrap(settings))


@functools.lru_cache(maxsize=64)  # one pass asks several times, for each router
def versions(configuration: Configuration, settings: Settings) -> Versions:
    """Return the versions of a configuration's documents."""
    rendered = _rendered(configuration, settings)
    return Versions(
        clusters=rendered[CLUSTERS]["version_info"],
        listeners=rendered[LISTENERS]["version_info"],
        routes_http=rendered[ROUTES["http"]]["version_info"],
        routes_grpc=rendered[ROUTES["grpc"]]["version_info"],
    )


def _rendered(configuration: Configuration, settings: Settings) -> dict[str, dict[str, Any]]:
    split = configuration.split
    made = {
        CLUSTERS: clusters.clusters(configuration.arms, configuration.mirrored, settings),
        LISTENERS: listeners(split, settings),
    }
    for protocol, file in ROUTES.items():
        made[file] = [route_table(split, protocol, settings)]
    return {name: _response(resources) for name, resources in made.items()}


def _response(resources: list[dict[str, Any]]) -> dict[str, Any]:
    """Return resources as Envoy reads them from a file, with a version made of their content."""
    version = hashlib.sha256(_text({"resources": resources}).encode()).hexdigest()[:16]
    return {"version_info": version, "resources": resources}


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
