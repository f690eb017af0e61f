"""The drift profile that comes with a model: asked for, beside it, or not to be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead_runtime.contract.drift_profile import ProfileError
from fairlead_runtime.drift.watch import read
from fairlead_runtime.repository import profile
from fairlead_runtime.repository.fetch import fetch

MODEL = b"\x08\x08onnx"
BESIDE, OTHER = b'{"beside": 1}', b' {"other": 1}'


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    """Return a mounted claim with two models: in a folder with a profile, and in one without."""
    for folder in ("with", "without"):
        (tmp_path / "mount" / folder).mkdir(parents=True)
        (tmp_path / "mount" / folder / "model.onnx").write_bytes(MODEL)
    (tmp_path / "mount" / "with" / "profile.json").write_bytes(BESIDE)
    (tmp_path / "mount" / "profile.json").write_bytes(OTHER)
    return tmp_path / "mount"


def names(out: Path) -> set[str]:
    return {path.name for path in out.iterdir()}


@pytest.mark.parametrize("path", ["with", "with/model.onnx"], ids=["folder", "file"])
@pytest.mark.parametrize("scheme", ["pvc", "file"])
def test_the_one_beside_the_model_is_taken(
    mount: Path, tmp_path: Path, scheme: str, path: str
) -> None:
    uri = f"pvc://claim/{path}" if scheme == "pvc" else f"file://{mount}/{path}"
    fetch(uri, tmp_path / "out", source_dir=mount)
    assert names(tmp_path / "out") == {"model.onnx", "profile.json"}
    assert (tmp_path / "out" / "profile.json").read_bytes() == BESIDE


@pytest.mark.parametrize("path", ["without", "without/model.onnx"], ids=["folder", "file"])
def test_where_there_is_none_nothing_is_left(mount: Path, tmp_path: Path, path: str) -> None:
    fetch(f"pvc://claim/{path}", tmp_path / "out", source_dir=mount)
    assert names(tmp_path / "out") == {"model.onnx"}


def test_a_key_of_the_same_config_map_is_beside(tmp_path: Path) -> None:
    """A ConfigMap volume is links to a folder of the present version."""
    (tmp_path / "map" / "..v1").mkdir(parents=True)
    for name, body in (("fraud.onnx", MODEL), ("profile.json", BESIDE)):
        (tmp_path / "map" / "..v1" / name).write_bytes(body)
        (tmp_path / "map" / name).symlink_to(f"..v1/{name}")
    fetch("configmap://fraud/fraud.onnx", tmp_path / "out", source_dir=tmp_path / "map")
    assert (tmp_path / "out" / "profile.json").read_bytes() == BESIDE


def test_the_one_that_is_asked_for_replaces_the_folders(mount: Path, tmp_path: Path) -> None:
    fetch(
        "pvc://claim/with", tmp_path / "out", source_dir=mount,
        profile_uri="configmap://profiles/profile.json", profile_source_dir=mount,
    )  # fmt: skip
    assert (tmp_path / "out" / "profile.json").read_bytes() == OTHER


@pytest.mark.parametrize(
    ("uri", "word"),
    [
        pytest.param("configmap://profiles/gone.json", "is not there; there are: ", id="no-key"),
        pytest.param("configmap://profiles/with", "is a folder, not a file", id="folder"),
        pytest.param("file:///nowhere/profile.json", "is not there", id="no-file"),
        pytest.param("pvc://claim/../../etc/hostname", "leads out of", id="escape"),
        pytest.param("ftp://host/profile.json", "UnsupportedScheme: cannot fetch", id="scheme"),
        pytest.param("s3://", "needs a key", id="no-key-in-a-bucket"),
        pytest.param("http://127.0.0.1:9/profile.json", "DownloadFailed", id="unreachable"),
    ],
)
def test_one_that_cannot_be_had_leaves_word_and_the_model_is_there(
    mount: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, word: str
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    out = tmp_path / "out"
    done = fetch(
        "pvc://claim/with", out, source_dir=mount, profile_uri=uri, profile_source_dir=mount
    )
    assert done.size_bytes == len(MODEL)
    assert names(out) == {"model.onnx", "profile.problem"}
    assert word in (out / "profile.problem").read_text()
    with pytest.raises(ProfileError) as refused:
        read(out / "profile.json")
    assert word in str(refused.value)


def test_one_that_is_too_large_does_not_blame_the_model(
    mount: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile, "PROFILE_BYTES", len(OTHER) - 1)
    fetch(
        "pvc://claim/with", tmp_path / "out", source_dir=mount,
        profile_uri="pvc://claim/profile.json", profile_source_dir=mount,
    )  # fmt: skip
    assert (
        "profile.json has more than the 0 MiB" in (tmp_path / "out" / "profile.problem").read_text()
    )


def test_a_front_page_is_no_profile(mount: Path, tmp_path: Path) -> None:
    (mount / "with" / "profile.json").write_text("<!doctype html><title>Models</title>")
    fetch("pvc://claim/with/model.onnx", tmp_path / "out", source_dir=mount)
    assert names(tmp_path / "out") == {"model.onnx"}


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://host/a/m.onnx?X-Sig=a/b#c", "https://host/a/profile.json"),
        ("s3://bucket/a #1?/m.onnx", "s3://bucket/a #1?/profile.json"),
        ("s3://bucket/m.onnx", "s3://bucket/profile.json"),
        ("configmap://fraud/m.onnx", "configmap://fraud/profile.json"),
        ("file:///models/m.onnx", "file:///models/profile.json"),
    ],
)
def test_beside_is_in_the_same_folder_without_the_signature(uri: str, expected: str) -> None:
    assert profile.beside(uri) == expected
