"""The objects that a ModelDeployment owns, as manifests for server-side apply."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from fairlead_operator.planning import names, network, router
from fairlead_operator.planning.podtemplate import GRPC_PORT, HTTP_PORT

Manifest = dict[str, Any]
ADDRESS_PORT = 80


def owner_reference(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Return the controller reference to a ModelDeployment."""
    return {
        "apiVersion": resource["apiVersion"],
        "kind": resource["kind"],
        "name": resource["metadata"]["name"],
        "uid": resource["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def fingerprint(manifest: Manifest) -> str:
    """Return a hash of a manifest; on the live object it tells what was applied last.

    A comparison of desired fields alone would not notice a field that is no longer desired.
    """
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def applied(obj: Mapping[str, Any]) -> str | None:
    """Return the fingerprint of the manifest that an object was last made from, if it is ours."""
    found = (obj["metadata"].get("annotations") or {}).get(names.APPLIED_ANNOTATION)
    return str(found) if found else None


class Children:
    """Makes the manifests of one ModelDeployment's children."""

    def __init__(self, resource: Mapping[str, Any]) -> None:
        self._owner = owner_reference(resource)
        self._name: str = resource["metadata"]["name"]
        self._namespace: str = resource["metadata"]["namespace"]

    def frozen_template(self, revision_hash: str, template: Manifest) -> Manifest:
        """Return the ControllerRevision that keeps a revision's pod template as first rendered.

        Its data cannot be changed in the API; an operator with other defaults finds it there.
        """
        return self._object(
            "apps/v1",
            "ControllerRevision",
            names.revision_name(self._name, revision_hash),
            {"data": {"template": template}, "revision": 1},
            revision_hash,
        )

    def deployment(self, revision_hash: str, template: Manifest) -> Manifest:
        """Return a revision's Deployment. It never says `replicas`: they are the HPA's."""
        spec = {
            "selector": {"matchLabels": names.selector(self._name, revision_hash)},
            "template": template,
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 1,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            },
        }
        return self._object(
            "apps/v1",
            "Deployment",
            names.revision_name(self._name, revision_hash),
            {"spec": spec},
            revision_hash,
        )

    def revision_service(self, revision_hash: str) -> Manifest:
        """Return a revision's headless Service: its pods by name, ready or draining."""
        spec = {
            "clusterIP": "None",
            "ports": _ports(HTTP_PORT),
            "selector": names.selector(self._name, revision_hash),
        }
        name = names.revision_name(self._name, revision_hash)
        return self._object("v1", "Service", name, {"spec": spec}, revision_hash)

    def address(self, revision_hash: str | None) -> Manifest:
        """Return the address: the Service that selects who answers.

        Args:
            revision_hash: The revision that has all traffic; None where the router has it.
        """
        selector = (
            names.router_selector(self._name)
            if revision_hash is None
            else names.selector(self._name, revision_hash)
        )
        spec = {"type": "ClusterIP", "ports": _ports(ADDRESS_PORT), "selector": selector}
        return self._object("v1", "Service", self._name, {"spec": spec}, None)

    def router(self, plan: router.Plan) -> list[Manifest]:
        """Return the router's objects, in the order in which they are needed."""
        name = names.router_name(self._name)
        budget = {
            "maxUnavailable": 1,
            "selector": {"matchLabels": names.router_selector(self._name)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        }
        bootstrap = {"data": {router.BOOTSTRAP: plan.bootstrap}}
        return [
            self._object(
                "v1", "ConfigMap", router.bootstrap_name(self._name, plan), bootstrap, None
            ),
            self._object("v1", "ConfigMap", name, {"data": dict(plan.documents)}, None),
            self._object(
                "apps/v1",
                "Deployment",
                name,
                {"spec": router.deployment_spec(self._name, plan)},
                None,
            ),
            self._object("policy/v1", "PodDisruptionBudget", name, {"spec": budget}, None),
        ]

    def autoscaler(
        self, revision_hash: str, scaling: Mapping[str, Any], *, min_replicas: int
    ) -> Manifest:
        """Return a revision's HPA; `metrics` and `behavior` are the user's own words."""
        name = names.revision_name(self._name, revision_hash)
        metrics = scaling.get("metrics") or [
            {
                "type": "Resource",
                "resource": {
                    "name": "cpu",
                    "target": {
                        "type": "Utilization",
                        "averageUtilization": int(scaling.get("targetCPUPercent") or 70),
                    },
                },
            }
        ]
        spec: Manifest = {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": min_replicas,
            "maxReplicas": max(min_replicas, int(scaling.get("maxReplicas") or 1)),
            "metrics": metrics,
        }
        if scaling.get("behavior"):
            spec["behavior"] = scaling["behavior"]
        return self._object(
            "autoscaling/v2", "HorizontalPodAutoscaler", name, {"spec": spec}, revision_hash
        )

    def disruption_budget(self) -> Manifest:
        """Return the PDB over all pods behind the address."""
        spec = {
            "maxUnavailable": 1,
            "selector": {"matchLabels": {names.OWNER_LABEL: self._name}},
            # A pod that is not ready serves nobody: a drain of its node need not wait for it.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        }
        return self._object("policy/v1", "PodDisruptionBudget", self._name, {"spec": spec}, None)

    def policies(
        self,
        policies: network.Policies,
        uris: Sequence[str],
        *,
        recorder: str | None,
        predictions: str,
        examples: str | None = None,
        routed: bool,
        collector: str = "",
    ) -> list[Manifest]:
        """Return the NetworkPolicies of all pods of ours; each isolates those that it selects.

        Args:
            policies: The operator's settings.
            uris: URIs of the models of all revisions that live, and of their profiles.
            examples: URI of the golden examples, if there are any.
            recorder: `host:port` of the recorder, if there is one.
            predictions: Its URL, where predictions are sent there; empty where they are not.
            routed: Whether there is a router.
            collector: URL of the collector of traces, if there is one.
        """
        name = self._name
        tried = [*uris, examples] if examples else uris
        specs = {
            name: network.models(name, policies, uris, predictions),
            names.validation_policy_name(name): network.validation(name, policies, tried),
        }
        if routed:
            specs[names.router_name(name)] = network.router(name, policies, recorder)
        if collector:
            for each in (name, *([names.router_name(name)] if routed else ())):
                specs[each]["egress"].append(network.tracing(collector))
        return [
            self._object("networking.k8s.io/v1", "NetworkPolicy", each, {"spec": spec}, None)
            for each, spec in specs.items()
        ]

    def digest(self, revision_hash: str, digest: str) -> Manifest:
        """Return the ConfigMap that gives the resolved digest to every later pod."""
        return self._object(
            "v1",
            "ConfigMap",
            names.revision_name(self._name, revision_hash),
            {"data": {names.DIGEST_KEY: digest}},
            revision_hash,
        )

    def validation(self, revision_hash: str, spec: Manifest) -> Manifest:
        """Return the Job that tries a revision out; it is made once and never changed."""
        name = names.validation_name(self._name, revision_hash)
        return self._object("batch/v1", "Job", name, {"spec": spec}, revision_hash)

    def _object(
        self, api_version: str, kind: str, name: str, body: Manifest, revision_hash: str | None
    ) -> Manifest:
        manifest: Manifest = {
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": self._namespace,
                "labels": names.labels(self._name, revision_hash),
                "ownerReferences": [self._owner],
            },
            **body,
        }
        manifest["metadata"]["annotations"] = {names.APPLIED_ANNOTATION: fingerprint(manifest)}
        return manifest


def _ports(http: int) -> list[dict[str, Any]]:
    """Return the ports of a Service: HTTP at a number of its own, gRPC where the pods have it."""
    return [
        _port("http", http, HTTP_PORT, "http"),
        _port("grpc", GRPC_PORT, GRPC_PORT, "kubernetes.io/h2c"),
    ]


def _port(name: str, port: int, target: int, protocol: str) -> dict[str, Any]:
    return {
        "name": name,
        "port": port,
        "targetPort": target,
        "protocol": "TCP",
        "appProtocol": protocol,
    }
