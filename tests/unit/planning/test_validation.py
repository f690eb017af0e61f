"""The validation Job: what it runs, and where its golden examples come from."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead_operator.planning.podtemplate import pod_template
from fairlead_operator.planning.validation import job_spec

SECRET_MOUNT = {"name": "secret", "mountPath": "/fairlead/secret", "readOnly": True}


def job(examples: str | None, *, secret: str | None = None) -> dict[str, Any]:
    """Return the pod of a Job with golden examples there."""
    model = {"uri": "s3://models/fraud/1/model.onnx"}
    template = pod_template(
        name="fraud",
        revision_hash="a" * 16,
        version="1",
        image="runtime:1",
        model=model | ({"secretName": secret} if secret else {}),
        runtime={},
        connection_age_s=60,
    )
    spec = job_spec(
        name="fraud",
        revision_hash="a" * 16,
        template=template,
        validation={"examplesUri": examples} if examples else {},
        objectives={},
        threads=None,
    )
    pod: dict[str, Any] = spec["template"]["spec"]
    return pod


def flags(pod: dict[str, Any]) -> list[str]:
    """Return what the container is told of examples."""
    args: list[str] = pod["containers"][0]["args"]
    return args[args.index("--examples") :] if "--examples" in args else []


def test_examples_in_a_configmap_are_mounted() -> None:
    pod = job("configmap://golden/examples.npz")
    assert flags(pod) == ["--examples", "/fairlead/examples/examples.npz"]
    assert {"name": "examples", "configMap": {"name": "golden"}} in pod["volumes"]
    mounts = pod["containers"][0]["volumeMounts"]
    assert {"name": "examples", "mountPath": "/fairlead/examples", "readOnly": True} in mounts


def test_examples_in_a_claim_are_mounted_to_be_read() -> None:
    pod = job("pvc://models/golden/examples.json")
    assert flags(pod) == ["--examples", "/fairlead/examples/golden/examples.json"]
    [volume] = [each for each in pod["volumes"] if each["name"] == "examples"]
    assert volume["persistentVolumeClaim"] == {"claimName": "models", "readOnly": True}


def test_examples_in_the_image_are_a_path() -> None:
    assert flags(job("file:///golden/examples.npz")) == ["--examples", "/golden/examples.npz"]


@pytest.mark.parametrize(
    "uri",
    ["https://models.example.com/golden.npz", "s3://models/golden.npz", "az://models/golden.npz"],
)
def test_examples_from_elsewhere_are_fetched_with_the_secret_of_the_model(uri: str) -> None:
    pod = job(uri, secret="s3-credentials")
    assert flags(pod) == ["--examples", uri, "--secret-dir", "/fairlead/secret"]
    assert SECRET_MOUNT in pod["containers"][0]["volumeMounts"]
    assert {"name": "secret", "secret": {"secretName": "s3-credentials"}} in pod["volumes"]


def test_without_a_secret_examples_are_fetched_as_the_pod() -> None:
    pod = job("s3://models/golden.npz")
    assert flags(pod) == ["--examples", "s3://models/golden.npz"]
    assert SECRET_MOUNT not in pod["containers"][0]["volumeMounts"]


def test_without_examples_the_secret_stays_with_the_container_that_fetches_the_model() -> None:
    pod = job(None, secret="s3-credentials")
    assert flags(pod) == []
    assert SECRET_MOUNT not in pod["containers"][0]["volumeMounts"]
