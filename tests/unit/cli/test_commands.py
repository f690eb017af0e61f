"""Commands that need no cluster, run as a process: what they print, and how they end."""

from __future__ import annotations

import http.server
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead_cli import completion, reference
from fairlead_cli.commands import cli
from fairlead_cli.commands.predict import request
from fairlead_cli.errors import InputError
from fairlead_operator.stats import power
from fairlead_runtime.contract import assignment
from tests.fairleadcli import environment, fairlead, here
from tests.unit.cli.world import an_experiment

ROOT = Path(__file__).parents[3]


def test_the_page_of_the_commands_is_up_to_date() -> None:
    assert (ROOT / "docs" / "cli.md").read_text() == reference.files()["cli.md"]
    for name in cli.commands:
        assert f"\n## fairlead {name}\n" in reference.files()["cli.md"]


def test_a_plan_is_the_one_of_the_statistics() -> None:
    args = ("--base-rate", "5%", "--effect", "0.1", "--traffic", "10000", "--weights", "80,20",
            "--outcome-window", "36h", "-o", "json")  # fmt: skip
    found = fairlead("plan", *args).json
    wanted = power.plan_rate(0.05, 0.1, shares=(80, 20), units_per_day=10_000, outcome_days=1.5)
    assert found["users"] == wanted.sequential_units
    assert found["usersPerArm"] == list(wanted.units_per_arm)
    assert found["days"] == wanted.sequential_days
    assert 2 * found["plannedSamplesPerVariant"] == pytest.approx(wanted.expected_units, abs=1)


def test_a_plan_of_a_mean_is_written_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    done = here(capsys, "plan", "--standard-deviation", "12", "--effect", "0.5")
    wanted = power.plan_mean(12, 0.5)
    assert f"{wanted.sequential_units:,}" in done.out
    assert "plannedSamplesPerVariant" in done.out
    assert "days" not in done.out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("plan", "--effect", "2%"), "--base-rate"),
        (("plan", "--base-rate", "5%", "--effect", "0"), "takes forever"),
        (("plan", "--base-rate", "120%", "--effect", "1%"), "base rate"),
        (("plan", "--base-rate", "5%", "--effect", "1%", "--outcome-window", "1d"), "no duration"),
        (("plan", "--base-rate", "much", "--effect", "1%"), "no share"),
        (("plan", "--base-rate", "5%", "--effect", "1%", "--arms", "2", "--weights", "1,1"),
         "--arms and --weights"),
        (("assign", "u"), "give one of"),
        (("assign", "u", "--weights", "a=50,b=50"), "belong together"),
        (("assign", "u", "--from", "/nowhere"), "cannot be read"),
        (("predict", "m", "-i", "/nowhere", "--url", "http://127.0.0.1:1"), "cannot be read"),
        (("frobnicate",), "No such command"),
        (("status", "--watch", "-o", "json"), "--watch shows text only"),
    ],
    ids=str,
)  # fmt: skip
def test_what_makes_no_sense_ends_with_2_and_says_why(
    args: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = here(capsys, *args)
    assert done.status == 2, done.err
    assert words in done.err
    assert done.out == ""


def test_without_a_kubeconfig_it_says_what_to_name() -> None:
    done = fairlead("status")
    assert done.status == 4
    assert "kubeconfig" in done.err


def test_an_api_server_that_does_not_answer_is_said_in_a_line(tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "x", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }))  # fmt: skip
    done = fairlead("status", kubeconfig=config)
    assert done.status == 4
    assert done.err.startswith("error: the API server http://127.0.0.1:1 does not answer")
    assert "Traceback" not in done.err
    other = fairlead("status", "--context", "y", kubeconfig=config)
    assert other.status == 4
    assert "y" in other.err


def test_users_are_assigned_from_a_saved_experiment_without_any_cluster(tmp_path: Path) -> None:
    saved = tmp_path / "experiment.yaml"
    saved.write_text(yaml.safe_dump(an_experiment()))
    done = fairlead("assign", "anna", "-", "--from", saved, "-o", "json", stdin="ben\n\ncarl\n")
    assert [each["user"] for each in done.json] == ["anna", "ben", "carl"]
    for each in done.json:
        assert each["slot"] == assignment.slot("uid-1", each["user"])
        assert each["arm"] == ("control" if each["slot"] < 5000 else "bigger")
    text = fairlead("assign", "anna", "-f", "-", stdin=json.dumps(an_experiment()))
    assert text.out.splitlines()[0].split() == ["USER", "ARM", "SLOT"]


@pytest.mark.parametrize(
    ("text", "path", "body"),
    [
        ("[1, 2]", "/predict", {"features": [1, 2]}),
        ("[[1, 2], [3, 4]]", "/predict", {"features": [[1, 2], [3, 4]]}),
        ('{"features": [1]}', "/predict", {"features": [1]}),
        ('{"inputs": {"a": [1]}}', "/predict", {"inputs": {"a": [1]}}),
        ('{"inputs": [{"name": "x"}]}', "/v2/models/m/infer", {"inputs": [{"name": "x"}]}),
    ],
)
def test_an_input_means_a_request(text: str, path: str, body: dict[str, Any]) -> None:
    where, sent = request(text, "m")
    assert (where, json.loads(sent)) == (path, body)


@pytest.mark.parametrize("text", ["", "[]", "3", '"x"', "{not json"])
def test_an_input_that_is_no_request_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        request(text, "m")


class _Model(http.server.BaseHTTPRequestHandler):
    """Answers what it was asked; a request for nothing is refused as the runtime refuses it."""

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        body = json.loads(self.rfile.read(length))
        status = 200 if body.get("features") != [0] else 422
        answer = json.dumps({"path": self.path, "body": body, "user": self.headers["x-user-id"]})
        self.send_response(status)
        self.send_header("x-fairlead-variant", "bigger")
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    """Return the address of a server on loopback."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Model) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_prediction_by_url_says_who_answered_and_passes_headers(url: str) -> None:
    done = fairlead(
        "predict", "fraud", "-i", "-", "--url", url, "-H", "x-user-id: anna", stdin="[[1, 2]]"
    )
    wanted = {"path": "/predict", "body": {"features": [[1, 2]]}, "user": "anna"}
    assert (done.status, done.json) == (0, wanted)
    assert done.err == "answered by variant bigger\n"
    quiet = fairlead("predict", "fraud", "-q", "-i", "-", "--url", url, stdin="[1]", no_proxy="*")
    assert quiet.err == ""


def test_a_request_that_the_model_refuses_ends_with_1(url: str) -> None:
    done = fairlead("predict", "fraud", "-i", "-", "--url", url, stdin="[0]")
    assert done.status == 1
    assert done.err.startswith("error: the model answered 422:")


def _on_a_terminal(*args: str, **more: str) -> str:
    """Run a command on a pseudo-terminal and return what it shows."""
    master, slave = pty.openpty()
    env = environment(TERM="xterm-256color", COLUMNS="100", **more)
    with subprocess.Popen(
        [sys.executable, "-m", "fairlead_cli", *args], env=env, stdout=slave, stderr=slave,
    ):  # fmt: skip
        os.close(slave)
        shown = b""
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:  # its end is closed
                break
            if not part:
                break
            shown += part
    os.close(master)
    return shown.decode()


def test_colours_are_for_terminals_and_not_with_no_color() -> None:
    wrong = ("assign", "u", "--salt", "s")
    assert "\x1b[" in _on_a_terminal(*wrong)
    assert "\x1b[" not in _on_a_terminal(*wrong, NO_COLOR="1")
    assert "\x1b[" not in fairlead(*wrong).err


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_a_shell_gets_its_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = here(capsys, "completion", shell)
    assert done.status == 0
    assert completion.VARIABLE in done.out


def test_bash_completes_commands_and_flags() -> None:
    done = fairlead(_FAIRLEAD_COMPLETE="bash_complete", COMP_WORDS="fairlead pro", COMP_CWORD="1")
    assert done.out == "plain,promote\n"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["pro"], ["promote\tGive the candidate all of the traffic.", ":4"]),
        (["status", "-o", "j"], ["json", ":4"]),
        (["status", "--all"], ["--all-namespaces\tWithout NAME: of all namespaces.", ":4"]),
    ],
)
def test_kubectl_completes_the_plugin(
    words: list[str], wanted: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert completion.kubectl(words) == 0
    assert capsys.readouterr().out.splitlines() == wanted
