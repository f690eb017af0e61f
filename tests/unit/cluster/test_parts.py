"""Small parts of the cluster: hashes, images of one program, remembered processes, name servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from cluster import build, inputs, oci
from cluster.daemons import Daemons
from cluster.node import upstreams
from cluster.paths import forget


def test_the_hash_of_inputs_changes_with_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("1")
    first = inputs.digest(["src"], root=tmp_path)
    assert inputs.digest(["src"], root=tmp_path) == first
    (tmp_path / "src" / "a.py").write_text("2")
    second = inputs.digest(["src"], root=tmp_path)
    (tmp_path / "src" / "a.py").rename(tmp_path / "src" / "b.py")
    third = inputs.digest(["src"], root=tmp_path)
    assert len({first, second, third}) == 3


def test_compiled_files_are_no_inputs(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    first = inputs.digest(["."], root=tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("x")
    assert inputs.digest(["."], root=tmp_path) == first


def test_an_unknown_component_is_named_with_the_known_ones() -> None:
    with pytest.raises(Exception, match=r"no component 'nope'; there are: .*kubernetes"):
        build.build_all(["nope"])


def test_what_only_some_tests_or_machines_need_is_not_built_by_default() -> None:
    assert set(build.COMPONENTS) - set(build.DEFAULT) == {
        "fake-gcs-server",
        "gitops",
        "h2spec",
        "kind",
        "kubeadm",
        "minio",
        "prometheus",
        "promtool",
        "registry",
    }


def test_an_image_of_one_program_is_the_same_every_time(tmp_path: Path) -> None:
    program = tmp_path / "pause"
    program.write_bytes(b"\x7fELF")
    for name in ("one.tar", "two.tar"):
        oci.image_archive(program, tmp_path / name, tag="localhost/x:1")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as archive:
        manifest = json.load(archive.extractfile("manifest.json"))[0]  # type: ignore[arg-type]
        config = json.load(archive.extractfile(manifest["Config"]))  # type: ignore[arg-type]
    assert manifest["RepoTags"] == ["localhost/x:1"]
    assert config["config"]["User"] == "65532:65532"
    assert config["config"]["Entrypoint"] == ["/pause"]


def test_a_process_is_started_once_and_stopped(tmp_path: Path) -> None:
    daemons = Daemons(tmp_path)
    daemons.start("sleeper", ["sleep", "60"])
    first = daemons.pid("sleeper")
    daemons.start("sleeper", ["sleep", "60"])
    assert daemons.pid("sleeper") == first
    daemons.stop("sleeper")
    assert not daemons.alive("sleeper")


def test_a_process_that_only_has_the_number_of_ours_is_left_alone(tmp_path: Path) -> None:
    daemons = Daemons(tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        record = {"pid": stranger.pid, "started": "1", "argv": []}
        (tmp_path / "pids").mkdir()
        (tmp_path / "pids" / "ours.json").write_text(json.dumps(record))
        daemons.stop("ours")
        os.kill(stranger.pid, 0)
        assert stranger.poll() is None
        stranger.communicate(b"\n")


def test_name_servers_on_loopback_are_no_use_to_pods(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("# x\nnameserver 127.0.0.53\nnameserver 10.0.0.2\noptions edns0\n")
    assert upstreams(path) == ["10.0.0.2"]
    assert upstreams(tmp_path / "none") == []


def test_a_cache_keeps_the_newest_results_and_nothing_half_made(tmp_path: Path) -> None:
    for age, name in enumerate(("x-new", "x-old", "x-older", "xy-other")):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1_000 - age, 1_000 - age))
    (tmp_path / ".x-scratch").mkdir()
    forget(tmp_path, "x", kept=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x-new", "x-old", "xy-other"]
