"""Credentials from the files of a mounted Secret, in the names that each kind of store uses."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from fairlead_runtime.repository.errors import DownloadRefusedError

# Our name for a setting, and the keys under which Secrets have it: the first that is there counts.
# Upper and lower case are the same, because half of all Secrets are made from environment files.
_ENDPOINT = ("endpoint", "endpoint_url")
_CA = ("ca.crt", "ca_bundle.pem")
_ANONYMOUS = ("anonymous",)
KEYS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "http": {"token": ("token",), "username": ("username",), "password": ("password",)},
    "s3": {
        "access_key_id": ("aws_access_key_id", "access_key_id", "accesskey"),
        "secret_access_key": ("aws_secret_access_key", "secret_access_key", "secretkey"),
        "session_token": ("aws_session_token", "session_token"),
        "region": ("aws_region", "aws_default_region", "region"),
        "endpoint": ("aws_endpoint_url_s3", "aws_endpoint_url", "aws_endpoint", *_ENDPOINT),
        "virtual_hosted_style_request": ("aws_virtual_hosted_style_request",),
        "skip_signature": ("aws_skip_signature", *_ANONYMOUS),
        "ca": ("aws_ca_bundle", *_CA),
    },
    "gs": {
        "service_account_key": (
            "service_account.json",
            "gcloud-application-credentials.json",
            "key.json",
            "google_service_account_key",
        ),
        "base_url": ("google_base_url", *_ENDPOINT),
        "skip_signature": ("google_skip_signature", *_ANONYMOUS),
        "ca": _CA,
    },
    "az": {
        "account_name": ("azure_storage_account_name", "azure_storage_account", "account_name"),
        "account_key": ("azure_storage_account_key", "azure_storage_access_key", "account_key"),
        "sas_key": ("azure_storage_sas_token", "azure_storage_sas_key", "sas_token"),
        "client_id": ("azure_client_id", "client_id"),
        "client_secret": ("azure_client_secret", "client_secret"),
        "tenant_id": ("azure_tenant_id", "tenant_id"),
        "endpoint": ("azure_storage_endpoint", "azure_endpoint", *_ENDPOINT),
        "skip_signature": ("azure_skip_signature", *_ANONYMOUS),
        "ca": _CA,
    },
}
_TOGETHER = {
    "s3": (("access_key_id", "secret_access_key"),),
    "az": (("client_id", "client_secret", "tenant_id"),),
}


def settings(scheme: str, secret_dir: Path | None) -> dict[str, str]:
    """Return the settings of a kind of store that the Secret has; none without a Secret.

    Raises:
        DownloadRefusedError: It has none of them, or a half of what belongs together.
    """
    if secret_dir is None:
        return {}
    files = _files(secret_dir)
    keys = KEYS[scheme]
    found = {
        name: next(files[key] for key in candidates if files.get(key))
        for name, candidates in keys.items()
        if any(files.get(key) for key in candidates)
    }
    if not found:
        known = ", ".join(candidates[0] for candidates in keys.values())
        there = ", ".join(sorted(files)) or "none"
        raise DownloadRefusedError(
            f"the Secret has no key for {scheme}://, but: {there}; use some of: {known}"
        )
    for group in _TOGETHER.get(scheme, ()):
        missing = [keys[name][0] for name in group if name not in found]
        if "client_secret" in group and "client_secret" not in found:
            continue  # a workload identity has a client and a tenant, and no secret
        if missing and len(missing) < len(group):
            raise DownloadRefusedError(f"the Secret lacks the key {' and '.join(missing)}")
    return found


def http_headers(secret_dir: Path | None) -> dict[str, str]:
    """Return the Authorization header that a Secret makes.

    `token` is sent as a bearer token; `username` and `password` as basic credentials.

    Raises:
        DownloadRefusedError: The Secret has neither.
    """
    found = settings("http", secret_dir)
    if "token" in found:
        return {"Authorization": f"Bearer {found['token']}"}
    if "username" in found:
        pair = f"{found['username']}:{found.get('password', '')}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    if found:
        raise DownloadRefusedError("the Secret has a password, but no key username")
    return {}


def _files(folder: Path) -> dict[str, str]:
    """Return the keys in lower case; the kubelet's own links begin with two dots."""
    try:
        paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
        return {path.name.lower(): path.read_text().strip() for path in paths if path.is_file()}
    except (OSError, UnicodeDecodeError) as error:
        raise DownloadRefusedError(f"the Secret at {folder} cannot be read: {error}") from error
