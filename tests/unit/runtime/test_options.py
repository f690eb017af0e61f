"""Where a flag's value comes from: the command line, its own variable, then a platform's."""

from __future__ import annotations

import pytest

from fairlead_runtime.cli.main import _parser


@pytest.mark.parametrize(
    ("env", "flags", "wanted"),
    [
        ({}, (), 8080),
        ({"PORT": "81"}, (), 81),
        ({"PORT": "81", "FAIRLEAD_HTTP_PORT": "82"}, (), 82),
        ({"PORT": "81", "FAIRLEAD_HTTP_PORT": ""}, (), 81),
        ({"PORT": "81", "FAIRLEAD_HTTP_PORT": "82"}, ("--http-port", "83"), 83),
    ],
)
def test_the_port_is_the_flags_then_our_variables_then_the_platforms(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], flags: tuple[str, ...], wanted: int
) -> None:
    for name in ("PORT", "FAIRLEAD_HTTP_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert _parser().parse_args(["serve", "model.onnx", *flags]).http_port == wanted


def test_a_port_that_is_none_ends_the_command_with_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # As Kubernetes sets it beside a Service `fairlead-http`.
    monkeypatch.setenv("FAIRLEAD_HTTP_PORT", "tcp://10.0.0.1:80")
    with pytest.raises(SystemExit) as ended:
        _parser().parse_args(["serve", "model.onnx"])
    assert ended.value.code == 1
    assert "--http-port" in capsys.readouterr().err
