"""The operator's option for a Prometheus: what it takes, and what it refuses."""

from __future__ import annotations

import argparse

import pytest

from fairlead_operator import settings
from fairlead_operator.__main__ import main


def told(env: str, *flags: str) -> settings.Settings:
    parser = argparse.ArgumentParser()
    settings.add_arguments(parser, env={"FAIRLEAD_PROMETHEUS_URL": env})
    return settings.from_arguments(parser.parse_args(flags))


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("", ""),
        ("http://prometheus.monitoring:9090", "http://prometheus.monitoring:9090"),
        ("https://metrics.example/team/", "https://metrics.example/team"),
        ("http://[fd00::1]:9090", "http://[fd00::1]:9090"),
    ],
)
def test_a_url_is_taken_from_flag_and_environment(given: str, taken: str) -> None:
    assert told(given).prometheus_url == taken
    assert told("http://other", "--prometheus-url", given).prometheus_url == taken


@pytest.mark.parametrize(
    "given",
    [
        "prometheus:9090", "ftp://p", "http://", "http://p:port", "http://p:99999", "http://[p",
        "http://user:secret@p", "http://p?x=1", "http://p#x", "http://p /",
    ],
)  # fmt: skip
def test_what_is_none_is_refused_in_one_line(
    given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "--prometheus-url", given])
    assert ended.value.code == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert "error: --prometheus-url must be a URL such as http://" in last
    assert "secret" not in last
