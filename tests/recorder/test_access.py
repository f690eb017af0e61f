"""Tokens of a real API server: who may write what."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cluster import controlplane
from cluster.controlplane import ControlPlane, write_kubeconfig
from fairlead_recorder.http.access import AUDIENCE
from tests.recorder.process import Recorder, recorder
from tests.recorder.schemathesis import conforms

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(900)]
_OPERATOR = "system:serviceaccount:fairlead-system:operator"
_OUTCOMES = {"outcomes": [{"key": "k", "unit": "u", "metric": "revenue", "value": 1}]}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Etcd and API server, with ServiceAccounts; the recorder's may make TokenReviews only."""
    with controlplane.start(tmp_path_factory.mktemp("plane"), controllers=True) as running:
        for namespace, account in (
            ("fairlead-system", "operator"), ("fairlead-system", "recorder"), ("shop", "web"),
            ("bank", "web"),
        ):  # fmt: skip
            running.kubectl("create", "namespace", namespace, check=False)
            running.kubectl("create", "serviceaccount", account, "-n", namespace)
        running.kubectl(
            "create", "clusterrole", "recorder", "--verb=create",
            "--resource=tokenreviews.authentication.k8s.io",
        )  # fmt: skip
        running.kubectl(
            "create", "clusterrolebinding", "recorder", "--clusterrole=recorder",
            "--serviceaccount=fairlead-system:recorder",
        )  # fmt: skip
        yield running


@pytest.fixture(scope="module")
def shared(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    """Run a recorder that asks this API server."""
    folder = tmp_path_factory.mktemp("recorder")
    kubeconfig = folder / "kubeconfig"
    own = plane.kubectl("create", "token", "recorder", "-n", "fairlead-system").strip()
    write_kubeconfig(
        kubeconfig, server=plane.server, authority=plane.directory / "ca.crt", token=own
    )
    with recorder(
        f"sqlite:///{folder}/recorder.db", folder, f"--operators={_OPERATOR}",
        "--outcomes-per-second=1000000", "--requests-per-second=100000",
        env={"KUBECONFIG": str(kubeconfig)},
    ) as started:  # fmt: skip
        yield started


_numbers = itertools.count(1)


@pytest.fixture
def served(shared: Recorder) -> Recorder:
    """Return the recorder with a name for an experiment of the test's own."""
    number = next(_numbers)
    return dataclasses.replace(shared, uid=f"uid-{number}", name=f"checkout-{number}")


def token(plane: ControlPlane, namespace: str, account: str, audience: str = AUDIENCE) -> str:
    return plane.kubectl(
        "create", "token", account, "-n", namespace, f"--audience={audience}"
    ).strip()


def bearer(plane: ControlPlane, namespace: str, account: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token(plane, namespace, account)}"}


@pytest.fixture
def operator(plane: ControlPlane, served: Recorder) -> dict[str, str]:
    """Return the operator's header, after it has registered an experiment."""
    headers = bearer(plane, "fairlead-system", "operator")
    assert served.put(served.path, served.definition, **headers).status_code == 200
    return headers


@pytest.mark.usefixtures("operator")
def test_an_application_writes_for_its_own_namespace_only(
    plane: ControlPlane, served: Recorder
) -> None:
    path = f"{served.path}/outcomes"
    web = bearer(plane, "shop", "web")
    assert served.post(path, _OUTCOMES, **web).status_code == 200
    other = served.post(path, _OUTCOMES, **bearer(plane, "bank", "web"))
    assert other.status_code == 403
    assert other.json()["error"] == (
        "system:serviceaccount:bank:web may not write for namespace shop"
    )
    units = f"{served.url}{served.path}/units?unit=nobody"
    assert httpx.delete(units, headers=web, trust_env=False).status_code == 200
    refused = httpx.delete(units, headers=bearer(plane, "bank", "web"), trust_env=False)
    assert refused.status_code == 403


def test_the_operator_alone_registers_and_writes_everywhere(
    plane: ControlPlane, served: Recorder, operator: dict[str, str]
) -> None:
    web = bearer(plane, "shop", "web")
    refused = served.put(served.path, served.definition, **web)
    assert refused.status_code == 403
    assert "not the operator" in refused.json()["error"]
    ended = httpx.delete(f"{served.url}{served.path}?uid=x", headers=web, trust_env=False)
    assert ended.status_code == 403
    assert served.post(f"{served.path}/outcomes", _OUTCOMES, **operator).status_code == 200


@pytest.mark.usefixtures("operator")
def test_without_a_token_for_this_audience_nobody_writes_and_everybody_reads(
    plane: ControlPlane, served: Recorder
) -> None:
    path = f"{served.path}/outcomes"
    nothing = served.post(path, _OUTCOMES)
    assert (nothing.status_code, nothing.headers["www-authenticate"]) == (401, "Bearer")
    for wrong in (
        token(plane, "shop", "web", "https://kubernetes.default.svc"),
        token(plane, "shop", "web", "somebody-else"),
        "nonsense",
    ):
        answer = served.post(path, _OUTCOMES, authorization=f"Bearer {wrong}")
        assert answer.status_code == 401
        assert AUDIENCE in answer.json()["error"]
    assert served.summary()["name"] == served.name


def test_a_models_pods_and_applications_write_for_their_own_namespace_only(
    plane: ControlPlane, served: Recorder, operator: dict[str, str]
) -> None:
    path = f"/v1/modeldeployments/shop/{served.name}"
    truth = {"outcomes": [{"requestId": "r", "outcome": 1}]}
    web, other = bearer(plane, "shop", "web"), bearer(plane, "bank", "web")
    assert served.put(path, {"uid": served.uid}, **web).status_code == 403
    assert served.put(path, {"uid": served.uid}, **operator).status_code == 200
    for headers, status in ((web, 200), (other, 403), ({}, 401)):
        assert served.post(f"{path}/outcomes", truth, **headers).status_code == status
        sent = httpx.post(
            f"{served.url}{path}/predictions", content=b"[]", trust_env=False,
            headers={"content-type": "application/cloudevents-batch+json", **headers},
        )  # fmt: skip
        assert sent.status_code == status
    assert served.get(f"{path}/performance")["revisions"] == {}


def test_schemathesis_finds_nothing(
    served: Recorder, operator: dict[str, str], tmp_path: Path
) -> None:
    conforms(served.url, operator["authorization"], tmp_path)


@pytest.mark.usefixtures("operator")
def test_a_known_token_works_while_the_api_server_is_away_and_a_new_one_waits(
    plane: ControlPlane, served: Recorder
) -> None:
    path = f"{served.path}/outcomes"
    known, new = bearer(plane, "shop", "web"), bearer(plane, "shop", "web")
    assert served.post(path, _OUTCOMES, **known).status_code == 200
    plane.kill_apiserver()
    try:
        assert served.post(path, _OUTCOMES, **known).status_code == 200
        answer = served.post(path, _OUTCOMES, **{**new, "authorization": new["authorization"]})
        assert answer.status_code == 503
        assert "API server" in answer.json()["error"]
        assert int(answer.headers["retry-after"]) > 0
    finally:
        plane.restart_apiserver()
    assert served.post(path, _OUTCOMES, **new).status_code == 200
