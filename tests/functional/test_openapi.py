"""The OpenAPI document says what the server does: schemathesis tries to prove it wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from tests import models
from tests.runtimes import Served, served
from tests.tensors import KINDS, TYPES


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("classifier")
    with served(models.classifier(folder / "model.onnx"), folder / "log") as started:
        yield started


@pytest.fixture(scope="module", params=sorted(KINDS))
def echo(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("echo")
    types = {name: kind for name, kind in TYPES.items() if name in KINDS[request.param]}
    with served(models.echo(folder / "model.onnx", types), folder / "log") as started:
        yield started


def url(runtime: Served, path: str) -> str:
    return f"http://127.0.0.1:{runtime.port}{path}"


def schemathesis(runtime: Served, folder: Path, *flags: str) -> None:
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", url(runtime, "/openapi.json"),
        "--seed", "1", "--max-examples", "20", "--no-color",
        "--phases", "examples,coverage,fuzzing", *flags,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ generated, \d+ passed", done.stdout), done.stdout


def test_what_the_document_allows_is_taken_and_the_rest_refused(
    classifier: Served, tmp_path: Path
) -> None:
    schemathesis(classifier, tmp_path, "--exclude-path-regex", "/infer$")


@pytest.mark.slow
def test_infer_keeps_to_the_document(classifier: Served, tmp_path: Path) -> None:
    # A schema cannot say that data has as many elements as its shape: what it allows may be wrong.
    flags = ("--include-path-regex", "/infer$", "--exclude-checks", "positive_data_acceptance")
    schemathesis(classifier, tmp_path, *flags)


@pytest.mark.slow
def test_many_inputs_of_every_datatype_keep_to_the_document(echo: Served, tmp_path: Path) -> None:
    # Nor that each input has as many rows as the others.
    flags = ("--include-method", "POST", "--exclude-checks", "positive_data_acceptance")
    schemathesis(echo, tmp_path, *flags)


def operations(document: dict[str, Any]) -> dict[str, Any]:
    return {path: item["post"] for path, item in document["paths"].items() if "post" in item}


def test_every_example_runs_and_its_answer_is_as_described(
    classifier: Served, echo: Served
) -> None:
    for runtime in (classifier, echo):
        run_examples(runtime)


def run_examples(runtime: Served) -> None:
    document = httpx.get(url(runtime, "/openapi.json")).json()
    posts = operations(document)
    assert len(posts) == 3
    for path, operation in posts.items():
        body = operation["requestBody"]["content"]["application/json"]
        for schema, value in (
            (body["schema"], body["example"]),
            (
                operation["responses"]["200"]["content"]["application/json"]["schema"],
                httpx.post(url(runtime, path), json=body["example"]).raise_for_status().json(),
            ),
        ):
            whole = {"components": document["components"], **schema}
            jsonschema.Draft202012Validator(whole).validate(value)


class Page(HTMLParser):
    """Collects what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for key, value in attrs if key in ("src", "href")]


def test_the_docs_page_needs_nothing_from_elsewhere(classifier: Served) -> None:
    answer = httpx.get(url(classifier, "/docs"))
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = Page()
    page.feed(answer.text)
    assert page.loads == ["openapi.json"]
    assert not re.search(r"(?:https?:)?//[a-z]", answer.text)


def test_a_large_input_has_no_example(tmp_path: Path) -> None:
    model = models.echo(tmp_path / "model.onnx", {"FP32": TYPES["FP32"]}, width=100_000)
    with served(model, tmp_path / "log") as runtime:
        answer = httpx.get(url(runtime, "/openapi.json"))
        assert len(answer.content) < 50_000
        for operation in operations(answer.json()).values():
            assert "example" not in operation["requestBody"]["content"]["application/json"]
