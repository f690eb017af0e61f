"""Which keys of a mounted Secret are which setting of a store."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fairlead_runtime.repository.errors import DownloadRefusedError, NotInstalledError
from fairlead_runtime.repository.fetch import fetch
from fairlead_runtime.repository.secret import http_headers, settings


def a_secret(folder: Path, **keys: str) -> Path:
    """Lay a Secret out as the kubelet does: links through `..data`."""
    (folder / "..2026").mkdir(parents=True)
    (folder / "..data").symlink_to("..2026")
    for name, value in keys.items():
        (folder / "..2026" / name).write_text(value)
        (folder / name).symlink_to(f"..data/{name}")
    return folder


@pytest.mark.parametrize(
    ("scheme", "keys", "expected"),
    [
        (
            "s3",
            {"AWS_ACCESS_KEY_ID": "a\n", "AWS_SECRET_ACCESS_KEY": "b\n", "AWS_REGION": "eu"},
            {"access_key_id": "a", "secret_access_key": "b", "region": "eu"},
        ),
        (
            "s3",
            {"accesskey": "a", "secretkey": "b", "endpoint": "http://minio:9000"},
            {"access_key_id": "a", "secret_access_key": "b", "endpoint": "http://minio:9000"},
        ),
        (
            "s3",
            {"AWS_ENDPOINT_URL_S3": "https://one", "AWS_ENDPOINT_URL": "https://two"},
            {"endpoint": "https://one"},
        ),
        ("gs", {"service_account.json": "{}"}, {"service_account_key": "{}"}),
        (
            "az",
            {"AZURE_STORAGE_ACCOUNT_NAME": "n", "AZURE_STORAGE_ACCESS_KEY": "k"},
            {"account_name": "n", "account_key": "k"},
        ),
        ("az", {"client_id": "c", "tenant_id": "t"}, {"client_id": "c", "tenant_id": "t"}),
    ],
)
def test_the_usual_keys_are_known_in_upper_and_lower_case(
    tmp_path: Path, scheme: str, keys: dict[str, str], expected: dict[str, str]
) -> None:
    assert settings(scheme, a_secret(tmp_path / "secret", **keys)) == expected


@pytest.mark.parametrize(
    ("scheme", "keys", "message"),
    [
        ("s3", {"token": "t"}, "but: token; use some of: aws_access_key_id"),
        ("s3", {}, "but: none"),
        ("s3", {"accesskey": "a"}, "lacks the key aws_secret_access_key"),
        ("s3", {"secretkey": "a", "region": "x"}, "lacks the key aws_access_key_id"),
        ("az", {"client_secret": "a", "tenant_id": "t"}, "lacks the key azure_client_id"),
    ],
)
def test_a_secret_that_cannot_do_says_what_it_lacks_and_no_value(
    tmp_path: Path, scheme: str, keys: dict[str, str], message: str
) -> None:
    with pytest.raises(DownloadRefusedError, match=message):
        settings(scheme, a_secret(tmp_path / "secret", **keys))


def test_a_secret_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(DownloadRefusedError, match="cannot be read"):
        settings("s3", tmp_path / "none")


def test_no_secret_means_the_pods_own_identity(tmp_path: Path) -> None:
    assert settings("s3", None) == {}
    assert http_headers(None) == {}


def test_a_password_alone_is_no_credential(tmp_path: Path) -> None:
    with pytest.raises(DownloadRefusedError, match="no key username"):
        http_headers(a_secret(tmp_path / "secret", password="p"))


def test_a_missing_library_is_named_with_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(NotInstalledError, match=r"pip install .fairlead\[runtime\]"):
        fetch("s3://models/fraud/model.onnx", tmp_path)
