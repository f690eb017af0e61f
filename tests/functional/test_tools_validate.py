"""`fairlead-runtime validate` on small real models: its verdict, its report, its status."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from tests import models
from tests.command import Ended, runtime
from tests.webstore import Answer, WebStore, status, whole

QUICK = ("--round-runs", "5")


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    return models.classifier(tmp_path / "folder" / "model.onnx")


@pytest.fixture
def golden(classifier: Path, tmp_path: Path) -> Path:
    """Return a file of what the model answers."""
    rows = np.random.default_rng(3).standard_normal((20, 3)).astype(np.float32)
    label, probabilities = ort.InferenceSession(str(classifier)).run(None, {"x": rows})
    path = tmp_path / "golden.npz"
    np.savez(path, x=rows, label=label, probabilities=probabilities)
    return path


def validate(model: Path, *flags: str | Path, log: Path) -> tuple[Ended, dict[str, Any]]:
    done = runtime("validate", model, *QUICK, *flags, env={"FAIRLEAD_TERMINATION_LOG": str(log)})
    assert log.stat().st_size <= 3072
    return done, json.loads(log.read_text())


def test_a_good_model_passes_and_the_report_says_so(
    classifier: Path, golden: Path, tmp_path: Path
) -> None:
    done, report = validate(
        classifier, "--examples", golden, "--max-latency-ms", "60000", "--output", "json",
        "--threads", "1", log=tmp_path / "log",
    )  # fmt: skip
    assert done.status == 0
    assert done.json == report
    assert report["verdict"] == "Pass"
    assert [check["status"] for check in report["checks"]] == [
        "Pass", "Skipped", "Pass", "Pass", "Pass", "Pass",
    ]  # fmt: skip
    assert report["latencyRuns"] == 25
    assert report["latencyP99BestMicros"] <= report["latencyP99Micros"]
    assert report["throughputRps"] > 0
    assert (report["threads"], report["batchSize"]) == (1, 1)


def refused(done: Ended, report: dict[str, Any], reason: str) -> str:
    assert done.status == 2
    assert report["verdict"] == "Fail"
    assert report["reason"] == reason
    assert done.err == f"fairlead-runtime: {reason}: {report['message']}\n"
    assert "the model is refused" in done.out
    return str(report["message"])


def test_examples_that_differ_refuse_it(classifier: Path, golden: Path, tmp_path: Path) -> None:
    other = models.classifier(tmp_path / "other.onnx", scale=1.5)
    done, report = validate(other, "--examples", golden, log=tmp_path / "log")
    message = refused(done, report, "ExamplesDiffer")
    assert message.startswith("output probabilities: 20 of 20 rows differ; [0, 0] is ")
    done, _ = validate(other, "--examples", golden, "--tolerance-milli", "900",
                       log=tmp_path / "log")  # fmt: skip
    assert done.status == 0


def test_examples_in_the_folder_of_the_model_are_taken(
    classifier: Path, golden: Path, tmp_path: Path
) -> None:
    golden.rename(classifier.with_name("examples.npz"))
    done, report = validate(classifier.parent, log=tmp_path / "log")
    assert done.status == 0
    assert "20 rows reproduced" in report["checks"][2]["message"]


def test_examples_of_another_model_refuse_it(golden: Path, tmp_path: Path) -> None:
    done, report = validate(
        models.root(tmp_path / "root.onnx"), "--examples", golden, log=tmp_path / "log"
    )
    assert "the model only knows x, y" in refused(done, report, "ExamplesDiffer")


def test_the_signature_of_inspect_can_be_asked_for(classifier: Path, tmp_path: Path) -> None:
    signature = tmp_path / "signature.json"
    signature.write_text(runtime("inspect", classifier, "--output", "json").out)
    done, _ = validate(classifier, "--signature", signature, log=tmp_path / "log")
    assert done.status == 0
    other = models.root(tmp_path / "root.onnx")
    done, report = validate(other, "--signature", signature, log=tmp_path / "log")
    message = refused(done, report, "SignatureMismatch")
    assert message == "input x has shape [-1, 2], but must have [-1, 3] (and 2 more)"


def test_nan_refuses_it_unless_so_much_is_allowed(tmp_path: Path) -> None:
    root = models.root(tmp_path / "root.onnx")
    done, report = validate(root, log=tmp_path / "log")
    assert "of 64 made-up rows, limit 0 thousandths, in y" in refused(done, report, "NotFinite")
    done, _ = validate(root, "--max-non-finite-milli", "1000", log=tmp_path / "log")
    assert done.status == 0


@pytest.mark.parametrize(
    ("x", "y", "status"), [([[4, 9]], [[2, 3]], 0), ([[4, -1]], [[2, float("nan")]], 0)],
    ids=["finite", "NaN that is wanted"],
)  # fmt: skip
def test_with_examples_only_their_rows_are_looked_at(
    tmp_path: Path, x: list[list[float]], y: list[list[float]], status: int
) -> None:
    np.savez(tmp_path / "e.npz", x=np.array(x, np.float32), y=np.array(y, np.float32))
    root = models.root(tmp_path / "root.onnx")
    done, report = validate(root, "--examples", tmp_path / "e.npz", log=tmp_path / "log")
    assert done.status == status, report


def test_a_slow_model_is_refused(tmp_path: Path) -> None:
    slow = models.slow(tmp_path / "slow.onnx", rounds=5_000, size=64)
    done, report = validate(slow, "--max-latency-ms", "1", log=tmp_path / "log")
    message = refused(done, report, "TooSlow")
    assert message.endswith("limit 1 ms")
    assert "median of 5 rounds" in message
    assert report["latencyP99BestMicros"] > 1000


def test_a_model_that_fails_on_one_row_is_refused(tmp_path: Path) -> None:
    pairs = models.pairs(tmp_path / "pairs.onnx")
    done, report = validate(pairs, log=tmp_path / "log")
    message = refused(done, report, "ModelRefusesInputs")
    assert message.startswith("it fails on 1 made-up rows at once: the model failed: ")
    done, _ = validate(pairs, "--batch-size", "2", log=tmp_path / "log")
    assert done.status == 0


@pytest.mark.parametrize(
    ("datatype", "shape"),
    [("FLOAT", [4, 3]), ("FLOAT", []), ("STRING", ["n", 2]), ("FLOAT16", ["n"]), ("BOOL", ["n"])],
    ids=["fixed batch", "scalar", "texts", "half", "flags"],
)
def test_models_of_every_shape_can_be_validated(
    tmp_path: Path, datatype: str, shape: list[str | int]
) -> None:
    kind = getattr(onnx.TensorProto, datatype)
    done, _ = validate(models.identity(tmp_path / "m.onnx", kind, shape), log=tmp_path / "log")
    assert done.status == 0, done.err


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"no model" * 10_000)
    done, report = validate(path, log=tmp_path / "log")
    refused(done, report, "InvalidModel")
    assert {check["status"] for check in report["checks"][1:]} == {"Skipped"}


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--examples", "no.npz"), "FileNotFound"),
        (("--signature", "no.json"), "FileNotFound"),
        (("--examples", "broken.npz"), "UnreadableFile"),
        (("--signature", "broken.json"), "InvalidSignature"),
    ],
    ids=" ".join,
)
def test_what_is_wrong_around_the_model_is_not_its_fault(
    classifier: Path, tmp_path: Path, flags: tuple[str, str], reason: str
) -> None:
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    (tmp_path / "broken.json").write_text('{"inputs": 1}')
    flag, name = flags
    done, report = validate(classifier, flag, tmp_path / name, log=tmp_path / "log")
    assert done.status == 1
    assert report["reason"] == reason
    assert "verdict" not in report


@pytest.mark.skipif(
    "CUDAExecutionProvider" in ort.get_available_providers(), reason="CUDA is there"
)
def test_a_model_for_a_gpu_is_not_judged_on_a_cpu_unless_that_will_do(classifier: Path) -> None:
    env = {"FAIRLEAD_PROVIDER": "cuda", "FAIRLEAD_PROVIDER_FALLBACK": "off"}
    done = runtime("validate", classifier, *QUICK, env=env)
    assert done.status == 1, "the model is blamed"
    assert "ProviderUnavailable: CUDA was asked for" in done.err
    del env["FAIRLEAD_PROVIDER_FALLBACK"]
    assert runtime("validate", classifier, *QUICK, env=env).status == 0


@pytest.fixture
def store() -> Iterator[WebStore]:
    server = WebStore()
    yield server
    server.close()


def test_examples_are_fetched_with_the_credentials_of_a_secret(
    classifier: Path, golden: Path, store: WebStore, tmp_path: Path
) -> None:
    store.answers["/golden.npz"] = [whole(golden.read_bytes())]
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "token").write_text("abc")
    uri = f"{store.url}/golden.npz?v=1"
    where = ("--examples", uri, "--secret-dir", str(secret))
    done, report = validate(classifier, *where, log=tmp_path / "log")
    assert done.status == 0, done.err
    assert store.asked[-1][1]["Authorization"] == "Bearer abc"
    other = models.classifier(tmp_path / "other.onnx", scale=1.5)
    done, report = validate(other, *where, log=tmp_path / "log")
    refused(done, report, "ExamplesDiffer")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status(404), "SourceNotFound"),
        (status(401), "DownloadRefused"),
        (whole(b"0" * ((48 << 20) + 1)), "ModelTooLarge"),
    ],
    ids=["missing", "refused", "too large"],
)
def test_examples_that_cannot_be_fetched_blame_no_model(
    classifier: Path, store: WebStore, tmp_path: Path, answer: Answer, reason: str
) -> None:
    store.answers["/golden.npz"] = [answer]
    uri = f"{store.url}/golden.npz"
    done, report = validate(classifier, "--examples", uri, log=tmp_path / "log")
    assert (done.status, report["reason"]) == (1, reason)
    assert str(report["message"]).startswith("the examples: ")
    assert "verdict" not in report
