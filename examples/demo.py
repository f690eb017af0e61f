"""The main job, shown: a cluster, a model on it, and predictions that equal onnxruntime's own.

Run it as `make demo`. It can be run again, and uses what is there already.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from cluster import provider, release
from cluster.forward import forwarded
from cluster.paths import ClusterError, log

EXAMPLE = Path(__file__).resolve().parent / "breast-cancer"
NAME = "breast-cancer"
NAMESPACE = "fairlead-demo"
TOLERANCE = 1e-6
SHOWN = 8
_READY_S = 240.0
_LOOK_S = 1.0
_PAUSE_S = 0.02
"""Between two requests: a demo is no load test, and the cluster may be somebody's."""
_CLASSES = ("malignant", "benign")


@dataclass(frozen=True)
class Row:
    """One held-out row: what the model was asked, what is true, and both answers."""

    truth: int
    served: tuple[int, float]
    expected: tuple[int, float]

    @property
    def equal(self) -> bool:
        """Whether the served answer is onnxruntime's."""
        close = abs(self.served[1] - self.expected[1]) <= TOLERANCE
        return self.served[0] == self.expected[0] and close


def main() -> int:
    """Run the demo and return its exit status."""
    try:
        chosen = provider.choose()
        if isinstance(chosen, provider.Given) and os.environ.get("USE_KUBECONFIG") != "1":
            raise ClusterError(
                f"KUBECONFIG={chosen.kubeconfig} is set: say USE_KUBECONFIG=1 to install Fairlead "
                "and the demo on that cluster, or unset KUBECONFIG to use one of our own"
            )
        chosen.up()
        release.install(chosen)
        deploy(chosen.kubeconfig)
        with forwarded(chosen.kubeconfig, NAMESPACE, f"service/{NAME}", 80) as url:
            rows = ask(url)
    except ClusterError as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1
    show(rows)
    closing(chosen.kubeconfig)
    equal = sum(row.equal for row in rows)
    print(f"\ndemo: {equal} of {len(rows)} predictions equal onnxruntime's")
    return 0 if equal == len(rows) else 1


def deploy(kubeconfig: Path) -> None:
    """Apply the example and wait, visibly, until it is ready.

    Raises:
        ClusterError: It did not become ready; the message is the resource's own.
    """
    release.namespace_with_restricted_pods(kubeconfig, NAMESPACE)
    log(f"kubectl apply -k examples/{EXAMPLE.name}")
    provider.kubectl(kubeconfig, "-n", NAMESPACE, "apply", "-k", str(EXAMPLE))
    deadline, told, message = time.monotonic() + _READY_S, "", ""
    while time.monotonic() < deadline:
        found = provider.kubectl(
            kubeconfig, "-n", NAMESPACE, "get", "modeldeployment", NAME, "-o", "json"
        )
        resource = json.loads(found)
        status = resource.get("status") or {}
        current = status.get("observedGeneration") == resource["metadata"]["generation"]
        ready = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), None)
        if ready is not None and current:
            message = f"{ready['reason']}: {ready['message']}"
            if message != told:
                log(f"  Ready={ready['status']}  {message}")
                told = message
            if ready["status"] == "True":
                return
        time.sleep(_LOOK_S)
    raise ClusterError(f"{NAME} did not become ready in {_READY_S:.0f} s; {message or 'no status'}")


def ask(url: str) -> list[Row]:
    """Ask the address about every held-out row, and onnxruntime about the same."""
    with (EXAMPLE / "held-out.csv").open(newline="") as file:
        _, *lines = csv.reader(file)
    data = np.array([[float(cell) for cell in line] for line in lines])
    features, truth = data[:, :-1], data[:, -1].astype(int)
    session = ort.InferenceSession(EXAMPLE / "model.onnx", providers=["CPUExecutionProvider"])
    rows: list[Row] = []
    log(f"asking {NAME} about {len(features)} held-out rows, one request each")
    for row, known in zip(features, truth, strict=True):
        answer = predict(url, row.tolist())
        time.sleep(_PAUSE_S)
        label, probabilities = session.run(
            ["label", "probabilities"], {"features": row[np.newaxis].astype(np.float32)}
        )
        served = int(answer["prediction"])
        rows.append(
            Row(
                truth=int(known),
                served=(served, float(answer["probability"][served])),
                expected=(int(label[0]), float(probabilities[0, int(label[0])])),
            )
        )
    return rows


def predict(url: str, features: list[float]) -> dict[str, Any]:
    """Send one request to `/predict`."""
    body = json.dumps({"features": features}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/predict", data=body, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def show(rows: list[Row]) -> None:
    """Print the first rows as a table, and the accuracy over all."""
    print(f"\n{'row':>4}  {'truth':<10} {'served':<10} {'probability':>11}  "
          f"{'onnxruntime':<11} {'probability':>11}  equal")  # fmt: skip
    for number, row in enumerate(rows[:SHOWN]):
        print(f"{number:>4}  {_CLASSES[row.truth]:<10} {_CLASSES[row.served[0]]:<10} "
              f"{row.served[1]:>11.6f}  {_CLASSES[row.expected[0]]:<11} "
              f"{row.expected[1]:>11.6f}  {'yes' if row.equal else 'NO'}")  # fmt: skip
    print(f"{'...':>4}  and {len(rows) - SHOWN} more")
    right = sum(row.truth == row.served[0] for row in rows)
    print(f"\naccuracy on {len(rows)} held-out rows: {100 * right / len(rows):.1f} %")


def closing(kubeconfig: Path) -> None:
    """Print what `kubectl get` shows, and what to type next."""
    columns = provider.kubectl(kubeconfig, "-n", NAMESPACE, "get", "modeldeployments")
    print(f"\n$ kubectl -n {NAMESPACE} get modeldeployments\n{columns}")
    print("What to type next:")
    print('  eval "$(python3 -m cluster env)"      # kubectl, helm and `kubectl fairlead`')
    print(f"  kubectl -n {NAMESPACE} describe modeldeployment {NAME}")
    print(f"  kubectl -n {NAMESPACE} port-forward service/{NAME} 8080:80")
    print("  curl -s localhost:8080/v2/models/breast-cancer        # in another terminal")
    print("  make cluster-down                                     # take the cluster down")


if __name__ == "__main__":
    sys.exit(main())
