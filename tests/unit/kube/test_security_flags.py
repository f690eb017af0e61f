"""The operator's flags of security: what makes no sense is refused by the flag's name."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from fairlead_operator import settings
from fairlead_operator.planning.network import Policies
from tests.certificates import Authority


def told(*flags: str) -> settings.Settings:
    parser = argparse.ArgumentParser(exit_on_error=False, allow_abbrev=False)
    settings.add_arguments(parser, env={})
    return settings.from_arguments(parser.parse_args(flags))


def test_by_default_nothing_is_kept_out() -> None:
    found = told()
    assert found.network_policies is None
    assert found.private_redirects
    assert (found.tls_dir, found.recorder_ca) == ("", "")


def test_what_is_told_is_taken(tmp_path: Path) -> None:
    authority = Authority(tmp_path).file
    found = told(
        "--network-policies", '{"clientsFrom": [{"podSelector": {}}]}', "--private-redirects",
        "deny", "--recorder-ca-file", str(authority), "--tls-dir", "/etc/tls",
    )  # fmt: skip
    assert found.network_policies == Policies(clients_from=({"podSelector": {}},))
    assert not found.private_redirects
    assert found.recorder_ca == authority.read_text()
    assert found.tls_dir == "/etc/tls"


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("--network-policies", "maybe", "--network-policies must be off, on or JSON"),
        ("--private-redirects", "never", "--private-redirects must be allow or deny"),
        ("--recorder-ca-file", "/nowhere/ca.crt", "--recorder-ca-file /nowhere/ca.crt holds no"),
        ("--recorder-ca-file", "/etc/hostname", "--recorder-ca-file /etc/hostname holds no"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(flag: str, value: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        told(flag, value)
