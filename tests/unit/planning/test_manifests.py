"""From a spec to the objects that serve it."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead_operator.planning.children import Children, applied
from fairlead_operator.planning.podtemplate import pod_template
from fairlead_operator.planning.source import scheme, source
from tests.builders import MODEL, a_resource

HASH = "0123456789abcdef"


def a_template(runtime: Any = None, **model: Any) -> dict[str, Any]:
    return pod_template(
        name="fraud",
        revision_hash=HASH,
        version="7",
        image="runtime:1",
        model={**MODEL, **model},
        runtime=runtime or {},
        connection_age_s=60.0,
    )


@pytest.mark.parametrize(
    ("uri", "volume"),
    [
        ("pvc://claim/a/m.onnx", {"persistentVolumeClaim": {"claimName": "claim"}}),
        ("configmap://fraud-model/model.onnx", {"configMap": {"name": "fraud-model"}}),
    ],
)
def test_a_claim_or_config_map_is_mounted_for_the_fetch_only(uri: str, volume: Any) -> None:
    spec = a_template(uri=uri)["spec"]
    [mounted] = [v for v in spec["volumes"] if v["name"] == "source"]
    for kind, value in volume.items():
        assert value.items() <= mounted[kind].items()
    [fetch], [server] = spec["initContainers"], spec["containers"]
    assert fetch["args"][-2:] == ["--source-dir", "/fairlead/source"]
    assert "source" in {m["name"] for m in fetch["volumeMounts"]}
    assert "source" not in {m["name"] for m in server["volumeMounts"]}


def test_a_secret_is_mounted_for_the_fetch_only() -> None:
    spec = a_template(secretName="keys")["spec"]
    assert {"name": "secret", "secret": {"secretName": "keys"}} in spec["volumes"]
    assert "--secret-dir" in spec["initContainers"][0]["args"]
    assert "secret" not in {m["name"] for m in spec["containers"][0]["volumeMounts"]}


def test_private_redirects_are_denied_to_the_fetch_beside_what_it_has() -> None:
    def variables(private_redirects: bool) -> list[str]:
        template = pod_template(
            name="fraud", revision_hash=HASH, version="7", image="runtime:1", model=MODEL,
            runtime={}, connection_age_s=60.0, private_redirects=private_redirects,
        )  # fmt: skip
        [fetch], [server] = template["spec"]["initContainers"], template["spec"]["containers"]
        assert "env" not in server
        return [each["name"] for each in fetch["env"]]

    assert variables(private_redirects=True) == ["FAIRLEAD_MODEL_DIGEST"]
    assert variables(private_redirects=False) == [
        "FAIRLEAD_MODEL_DIGEST", "FAIRLEAD_PRIVATE_REDIRECTS"
    ]  # fmt: skip


@pytest.mark.parametrize("uri", ["s3://models/fraud/7/", "gs://m/k.onnx", "az://c/k.onnx"])
def test_an_object_store_needs_no_volume_but_its_secret(uri: str) -> None:
    spec = a_template(uri=uri, secretName="keys")["spec"]
    fetch = spec["initContainers"][0]
    assert fetch["args"][:3] == ["fetch", uri, "/model"]
    assert fetch["args"][-2:] == ["--secret-dir", "/fairlead/secret"]
    assert [v["name"] for v in spec["volumes"]] == ["model", "tmp", "secret"]


def test_a_profile_is_fetched_with_the_model_and_asked_for_by_name() -> None:
    spec = a_template(profileUri="configmap://profiles/fraud.json", secretName="keys")["spec"]
    [fetch], [server] = spec["initContainers"], spec["containers"]
    assert fetch["args"][-4:] == [
        "--profile-uri", "configmap://profiles/fraud.json",
        "--profile-source-dir", "/fairlead/profile",
    ]  # fmt: skip
    assert "/fairlead/profile" in {m["mountPath"] for m in fetch["volumeMounts"]}
    # One that is not there must not hold up the pod.
    profile = {"name": "profile", "configMap": {"name": "profiles", "optional": True}}
    assert profile in spec["volumes"]
    place = server["args"].index("--profile")
    assert server["args"][place + 1] == "/model/profile.json"


def test_a_profile_beside_the_model_needs_nothing() -> None:
    spec = a_template()["spec"]
    assert "--profile-uri" not in spec["initContainers"][0]["args"]
    assert "--profile" not in spec["containers"][0]["args"]


def test_predictions_go_to_the_recorder_with_a_token_of_its_own() -> None:
    where = "http://recorder/v1/modeldeployments/shop/fraud/predictions?revision=01234567"
    template = pod_template(
        name="fraud", revision_hash=HASH, version="7", image="runtime:1", model=MODEL,
        runtime={"recordPredictionsPercent": 25}, connection_age_s=60.0, predictions=where,
    )  # fmt: skip
    [server] = template["spec"]["containers"]
    place = server["args"].index("--prediction-log")
    assert server["args"][place : place + 6] == [
        "--prediction-log", where, "--prediction-log-share", "0.25",
        "--prediction-log-token-file", "/fairlead/recorder/token",
    ]  # fmt: skip
    assert "/fairlead/recorder" in {m["mountPath"] for m in server["volumeMounts"]}
    [volume] = [v for v in template["spec"]["volumes"] if v["name"] == "recorder-token"]
    [source] = volume["projected"]["sources"]
    assert source["serviceAccountToken"]["audience"] == "fairlead-recorder"
    assert "--prediction-log" not in a_template()["spec"]["containers"][0]["args"]


def test_a_pinned_digest_is_an_argument_and_a_resolved_one_a_reference() -> None:
    digest = "sha256:" + "a" * 64
    pinned = a_template(digest=digest)["spec"]["initContainers"][0]
    assert pinned["args"][-2:] == ["--digest", digest]
    assert "env" not in pinned
    [variable] = a_template()["spec"]["initContainers"][0]["env"]
    assert variable["valueFrom"]["configMapKeyRef"] == {
        "name": "fraud-01234567",
        "key": "model-digest",
        "optional": True,
    }


def test_every_container_is_fit_for_the_restricted_standard() -> None:
    spec = a_template()["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in (*spec["initContainers"], *spec["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_what_the_user_says_of_the_runtime_reaches_the_pod() -> None:
    runtime = {
        "threads": 3,
        "env": [{"name": "A", "value": "b"}],
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "gpu"}],
        "serviceAccountName": "models",
        "imagePullSecrets": [{"name": "registry"}],
        "resources": {"limits": {"cpu": "2"}},
    }
    spec = a_template(runtime)["spec"]
    [server] = spec["containers"]
    for field in ("nodeSelector", "tolerations", "serviceAccountName", "imagePullSecrets"):
        assert spec[field] == runtime[field]
    assert server["env"] == runtime["env"]
    assert server["args"][-2:] == ["--threads", "3"]
    assert server["resources"] == {"requests": {"memory": "128Mi"}, "limits": {"cpu": "2"}}


def test_without_resources_the_scheduler_and_the_autoscaler_still_have_requests() -> None:
    [server] = a_template()["spec"]["containers"]
    assert server["resources"] == {"requests": {"cpu": "100m", "memory": "128Mi"}}
    both = {"limits": {"cpu": "1", "memory": "1Gi"}}
    [server] = a_template({"resources": both})["spec"]["containers"]
    assert server["resources"] == both


def test_the_users_metrics_and_behavior_are_passed_through() -> None:
    make = Children(a_resource())
    metrics = [{"type": "External"}]
    behavior: dict[str, Any] = {"scaleDown": {}}
    scaling = {"maxReplicas": 3, "metrics": metrics, "behavior": behavior}
    spec = make.autoscaler(HASH, scaling, min_replicas=2)["spec"]
    assert (spec["metrics"], spec["behavior"]) == (metrics, behavior)
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 3)
    plain = make.autoscaler(HASH, {"targetCPUPercent": 55}, min_replicas=4)["spec"]
    assert plain["metrics"][0]["resource"]["target"]["averageUtilization"] == 55
    assert plain["maxReplicas"] == 4
    assert "behavior" not in plain


def test_every_child_is_owned_labelled_and_fingerprinted() -> None:
    make = Children(a_resource())
    template = a_template()
    children = [
        make.frozen_template(HASH, template),
        make.deployment(HASH, template),
        make.revision_service(HASH),
        make.address(HASH),
        make.autoscaler(HASH, {}, min_replicas=1),
        make.disruption_budget(),
        make.digest(HASH, "sha256:a"),
    ]
    for child in children:
        [owner] = child["metadata"]["ownerReferences"]
        assert (owner["name"], owner["uid"], owner["controller"]) == ("fraud", "uid-1", True)
        assert child["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "fairlead"
        assert applied(child)
    assert len({applied(child) for child in children}) == len(children)
    assert applied({"metadata": {}}) is None


def test_a_uri_without_a_scheme_has_none() -> None:
    assert scheme("models/m.onnx") == ""
    assert scheme("HTTPS://x/y") == "https"
    assert source({"uri": "file:///m.onnx"}).volumes == ()
