"""A last look at the rendered documents: Envoy takes some that do not work.

It reads what was rendered, not what it was rendered from, so that a mistake of the rendering is
found as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from fairlead_operator.traffic.listeners import ADMIN_CLUSTER
from fairlead_runtime.contract.assignment import MAX_RUNS, SLOTS

Json = Mapping[str, Any]
_MOST_BYTES = 900_000
"""A ConfigMap holds a mebibyte, metadata included."""


def problems(documents: Mapping[str, Json]) -> list[str]:
    """Return what is wrong with a set of documents, in words; empty where they may be written."""
    resources = [each for document in documents.values() for each in document["resources"]]
    of_kind: dict[str, list[Json]] = {}
    for resource in resources:
        of_kind.setdefault(str(resource["@type"]).rsplit(".", maxsplit=1)[-1], []).append(resource)
    known = {str(cluster["name"]) for cluster in of_kind.get("Cluster", ())} | {ADMIN_CLUSTER}
    tables = of_kind.get("RouteConfiguration", [])
    found = list(_cluster_problems(of_kind.get("Cluster", [])))
    for table in tables:
        found += [f"{table['name']}: {each}" for each in _table_problems(table, known)]
    found += _listener_problems(of_kind.get("Listener", []), {str(t["name"]) for t in tables})
    size = sum(len(json.dumps(document)) for document in documents.values())
    if size > _MOST_BYTES:
        found.append(f"the documents have {size} bytes, more than the {_MOST_BYTES} that fit")
    return found


def _cluster_problems(clusters: list[Json]) -> Iterator[str]:
    names = [str(cluster["name"]) for cluster in clusters]
    if len(set(names)) < len(names):
        yield "two clusters have the same name"
    for cluster in clusters:
        priorities = [each["priority"] for each in cluster["load_assignment"]["endpoints"]]
        if priorities not in ([0], [0, 1]):
            yield f"cluster {cluster['name']} has the priorities {priorities}"
        panic = cluster["common_lb_config"]["healthy_panic_threshold"]["value"]
        if priorities == [0, 1] and panic != 0:
            yield f"cluster {cluster['name']} would rather panic than fall back"


def _table_problems(table: Json, known: set[str]) -> Iterator[str]:
    routes = [route for host in table["virtual_hosts"] for route in host["routes"]]
    for route in routes:
        action = route["route"]
        weighted = action.get("weighted_clusters")
        picked = weighted["clusters"] if weighted else [{"name": action["cluster"]}]
        copies = action.get("request_mirror_policies", ())
        named = {each["name"] for each in picked} | {each["cluster"] for each in copies}
        for unknown in sorted(named - known):
            yield f"a route names the unknown cluster {unknown}"
        if weighted:
            yield from _weight_problems(picked)
    last = routes[-1] if routes else {"match": {}}
    if set(last["match"]) != {"prefix"} or last["match"]["prefix"] != "/":
        yield "some requests have no route: the last one must take everything"


def _weight_problems(picked: list[Json]) -> Iterator[str]:
    total = sum(each["weight"] for each in picked)
    if total != SLOTS:
        yield f"weights sum to {total} instead of {SLOTS}"
    if any(each["weight"] < 1 for each in picked):
        yield "a weight is below 1"
    if len(picked) > MAX_RUNS:
        yield f"there are {len(picked)} runs, more than {MAX_RUNS}"


def _listener_problems(listeners: list[Json], tables: set[str]) -> list[str]:
    wanted = set()
    for listener in listeners:
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        if "rds" in manager:
            wanted.add(str(manager["rds"]["route_config_name"]))
    if wanted == tables:
        return []
    return [f"listeners want the route tables {sorted(wanted)}, there are {sorted(tables)}"]
