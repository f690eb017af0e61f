"""Envoy's route tables: one per listener, with the slot table as weighted clusters.

The hashed header exists only because the listener sets it before the route is chosen (see
`listeners`); a request without a user would get a hash as well, the same for everybody, so it has a
route of its own, to the control.
"""

from __future__ import annotations

from typing import Any

from fairlead_operator.traffic import clusters, exposures
from fairlead_operator.traffic.split import Settings, Split
from fairlead_runtime.contract import names
from fairlead_runtime.contract.assignment import SLOTS

Json = dict[str, Any]
_OVERWRITE = "OVERWRITE_IF_EXISTS_OR_ADD"
LIMIT_FILTER = "fairlead.compared"
"""Name of the filter that takes the mark away from what is too much: see `listeners`."""


def route_name(protocol: str) -> str:
    """Return the name of a listener's route table."""
    return f"fairlead_{protocol}"


def route_table(split: Split, protocol: str, settings: Settings) -> Json:
    """Return the RouteConfiguration of one listener."""
    routes: list[Json] = []
    for mirror in _mirrors(split, protocol):
        if split.header is not None:
            routes.append(_keyed(split, split.header, protocol, mirror, settings))
            routes.append(_route({}, _to_control(split, protocol), mirror, protocol, settings))
        else:
            routes.append(_route({}, _at_random(split, protocol), mirror, protocol, settings))
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": route_name(protocol),
        # By default an unknown cluster is accepted and answers 503.
        "validate_clusters": True,
        "request_headers_to_add": _request_headers(split, settings),
        "response_headers_to_add": _response_headers(split),
        "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}],
    }


def _mirrors(split: Split, protocol: str) -> list[Json]:
    """Return how requests are copied, one after the other: marked copies, then all the others.

    Which ones is a hash of the stream, drawn anew for each request: no user is always copied.
    Envoy uses one random number per request for the match and for the copy. The share of the second
    is therefore of all requests, those that the first took included.
    """
    mirror = split.mirror
    if mirror is None:
        return [{}]
    target = clusters.mirror_name(mirror.arm, protocol)
    plain: Json = {"request_mirror_policies": [_policy(target, mirror.share)]}
    if not mirror.compared:
        return [plain]
    marked: Json = {
        "match": {"runtime_fraction": {"default_value": _fraction(mirror.compared)}},
        "request_mirror_policies": [_policy(target, SLOTS)],
        "mark": True,
    }
    return [marked, {} if mirror.compared == mirror.share else plain]


def _policy(target: str, share: int) -> Json:
    return {
        "cluster": target,
        "runtime_fraction": {"default_value": _fraction(share)},
        "disable_shadow_host_suffix_append": True,
        "trace_sampled": False,
    }


def _fraction(share: int) -> Json:
    return {"numerator": share, "denominator": "TEN_THOUSAND"}


def _keyed(split: Split, header: str, protocol: str, mirror: Json, settings: Settings) -> Json:
    runs = {arm.name: clusters.name(arm, protocol) for arm in split.arms}
    weighted = [{"name": runs[run.arm], "weight": run.slots} for run in split.table]
    present: list[Json] = [
        {"name": header, "present_match": True},
        # An empty header is no user.
        {"name": header, "string_match": {"exact": ""}, "invert_match": True},
    ]
    action: Json = {
        "weighted_clusters": {"clusters": weighted, "use_hash_policy": True},
        "hash_policy": [{"header": {"header_name": names.UNIT_HEADER}}],
    }
    made = _route({"headers": present}, action, mirror, protocol, settings)
    # Where one arm has everything, as before a split and after it, nobody is exposed to anything.
    if split.recorded is not None and len({run.arm for run in split.table}) > 1:
        made["metadata"] = exposures.of_route(split.recorded)
    return made


def _to_control(split: Split, protocol: str) -> Json:
    return {"cluster": clusters.name(split.control, protocol)}


def _at_random(split: Split, protocol: str) -> Json:
    weighted = [
        {"name": clusters.name(arm, protocol), "weight": split.counts[arm.name]}
        for arm in split.arms
        if split.counts[arm.name]
    ]
    if len(weighted) == 1:
        return {"cluster": weighted[0]["name"]}
    return {"weighted_clusters": {"clusters": weighted}}


def _route(match: Json, action: Json, mirror: Json, protocol: str, settings: Settings) -> Json:
    route: Json = {
        "match": {"prefix": "/", **match, **mirror.get("match", {})},
        "route": {
            **action,
            **_timeout(protocol, settings),
            "retry_policy": _retry(),
        },
    }
    if "request_mirror_policies" in mirror:
        route["route"]["request_mirror_policies"] = mirror["request_mirror_policies"]
    if mirror.get("mark"):
        # Absent, but where the filter found too many a second.
        mark = _header(names.COMPARE_HEADER, names.COMPARED)
        route["request_headers_to_add"] = [{**mark, "append_action": "ADD_IF_ABSENT"}]
        route["typed_per_filter_config"] = {
            LIMIT_FILTER: {
                "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
                "config": {},
            }
        }
    return route


def _timeout(protocol: str, settings: Settings) -> Json:
    """Return the longest time of a request.

    A gRPC client's own deadline holds within it. The router ends such a call a moment before the
    client does: what the client gives up is counted nowhere, and an arm that hangs would look well.
    """
    longest = f"{settings.timeout_s}s"
    if protocol == "http":
        return {"timeout": longest}
    # With any of these Envoy does not look at `timeout` at all.
    return {
        "max_stream_duration": {
            "max_stream_duration": longest,
            "grpc_timeout_header_max": longest,
            "grpc_timeout_header_offset": "0.010s",
        }
    }


def _retry() -> Json:
    """Return one retry of what no model has seen; only the arm's control is left for the second.

    All three conditions mean that the request never reached a pod, so that nothing is done twice.
    """
    return {
        "retry_on": "connect-failure,refused-stream,reset-before-request",
        "num_retries": 1,
        "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.025s"},
        "retry_priority": {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": {
                "@type": (
                    "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities"
                    ".v3.PreviousPrioritiesConfig"
                ),
                "update_frequency": 1,
            },
        },
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": (
                        "type.googleapis.com/envoy.extensions.retry.host.previous_hosts"
                        ".v3.PreviousHostsPredicate"
                    )
                },
            }
        ],
        "host_selection_retry_max_attempts": "3",
    }


def _request_headers(split: Split, settings: Settings) -> list[Json]:
    # Another ModelDeployment's pods have another name than the one that the client asks for.
    headers = [_header(names.MODEL_HEADER, settings.name)]
    if split.experiment is not None:
        headers.append(_header(names.EXPERIMENT_HEADER, split.experiment))
    return headers


def _response_headers(split: Split) -> list[Json]:
    # The pod that answered says which variant it is: also where the control stood in for an arm.
    headers = [_header(names.VARIANT_HEADER, f"%UPSTREAM_METADATA({clusters.METADATA}:variant)%")]
    if split.experiment is not None:
        headers.append(_header(names.EXPERIMENT_HEADER, split.experiment))
    return headers


def _header(name: str, value: str) -> Json:
    return {"header": {"key": name, "value": value}, "append_action": _OVERWRITE}
