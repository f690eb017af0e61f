"""Which cluster is used, and what is said where none can be had."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cluster import provider
from cluster.__main__ import main
from cluster.paths import ClusterError


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Return a machine without KUBECONFIG, without container engine, where one is not root."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("FAIRLEAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return monkeypatch


def test_an_explicit_kubeconfig_comes_first(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare.setenv("KUBECONFIG", str(tmp_path / "config"))
    chosen = provider.choose()
    assert isinstance(chosen, provider.Given)
    assert chosen.kubeconfig == tmp_path / "config"


def test_tests_never_use_the_cluster_of_kubeconfig(
    bare: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bare.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(ClusterError):
        provider.choose(own_only=True)


def test_where_nothing_is_possible_one_line_says_what_to_install(
    bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["up"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for word in ("needs root", "Docker or Podman", "KUBECONFIG"):
        assert word in said


def test_a_client_without_an_engine_is_no_engine(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\nexit 1\n")
    client.chmod(0o755)
    with pytest.raises(ClusterError, match="no container engine answers"):
        provider.choose()


def test_an_engine_that_answers_means_kind(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    client = tmp_path / "podman"
    client.write_text("#!/bin/sh\nexit 0\n")
    client.chmod(0o755)
    assert type(provider.choose()).__name__ == "Kind"
