"""A bucket of an object store through obstore, with its errors in our words."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from fairlead_runtime.repository import secret
from fairlead_runtime.repository.errors import (
    ChangedMeanwhileError,
    DownloadFailedError,
    DownloadRefusedError,
    FetchError,
    NotInstalledError,
    SourceNotFoundError,
)
from fairlead_runtime.repository.transfer import Patience, Piece

_T = TypeVar("_T")
_CHUNK = 1 << 18
_CONNECT = timedelta(seconds=10)
_WHOLE = timedelta(days=1)  # obstore's own limit is 30 s for all of a file
_UNSTEADY = ("408", "425", "429")
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
_SIGNS = {
    "InvalidCertificate": (
        "the server's certificate is not trusted: put its authority into the key ca.crt of the "
        "Secret"
    ),
    "ConnectionRefused": "the connection is refused: check the endpoint",
    "dns error": "the host is not known: check the endpoint",
    "TimedOut": "nothing came for too long",
}
_NO_IDENTITY = ("169.254.169.254", "169.254.170", "metadata.google.internal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One version of an object.

    Attributes:
        key: Its key in the bucket.
        size_bytes: Its size.
        tag: What the store calls this version; None where only the size tells versions apart.
    """

    key: str
    size_bytes: int
    tag: str | None


class Bucket:
    """A bucket or container; nothing is asked of it before the first call."""

    def __init__(
        self, scheme: str, name: str, *, patience: Patience, secret_dir: Path | None
    ) -> None:
        self._library = _installed(scheme)
        self.shown = f"{scheme}://{name}"
        self._patience = patience
        given = secret.settings(scheme, secret_dir)
        with self._translated(self.shown):
            self._store = _store(scheme, name, given, patience.stall_s)

    def look(self, key: str) -> Stored:
        """Return what is at `key`.

        Raises:
            FetchError: There is nothing, or it may not be seen, or the store fails.
        """
        return self._patiently(key, lambda: _stored(self._library.head(self._store, key)))

    def all_under(self, folder: str, most: int) -> list[Stored]:
        """Return the objects under a folder, `most` and one at most, by their keys.

        Raises:
            FetchError: They may not be listed, or the store fails.
        """

        def call() -> list[Stored]:
            found: list[Stored] = []
            for part in self._library.list(self._store, prefix=folder or None):
                found += [_stored(each) for each in part]
                if len(found) > most:
                    break
            return sorted(found, key=lambda each: each.key)

        return self._patiently(folder, call)

    def file(self, version: Stored) -> StoredFile:
        """Return one version of an object, to be downloaded."""
        return StoredFile(self, version)

    @contextlib.contextmanager
    def read(self, version: Stored, start: int) -> Iterator[Piece]:
        """Ask for the bytes of a version from `start`.

        Raises:
            ChangedMeanwhileError: There is another version now.
            FetchError: It may not be read, or the store fails.
        """
        shown = f"{self.shown}/{version.key}"
        options: dict[str, Any] = {"range": {"offset": start}} if start else {}
        if version.tag:
            options["if_match"] = f'"{version.tag}"'
        with self._translated(shown):
            answer = self._library.get(self._store, version.key, options=options)
        if _stored(answer.meta) != version:
            raise ChangedMeanwhileError(f"{shown} was replaced while it was fetched")
        yield Piece(start=start, total_bytes=version.size_bytes, chunks=self._chunks(answer, shown))

    def _chunks(self, answer: Any, shown: str) -> Iterator[bytes]:  # noqa: ANN401 - obstore's
        with self._translated(shown):
            yield from (bytes(chunk) for chunk in answer.stream(min_chunk_size=_CHUNK))

    def _patiently(self, key: str, call: Callable[[], _T]) -> _T:
        failures = 0
        while True:
            try:
                with self._translated(f"{self.shown}/{key}"):
                    return call()
            except DownloadFailedError as error:
                if not error.again or failures >= self._patience.retries:
                    raise
                self._patience.pause(failures)
                failures += 1

    @contextlib.contextmanager
    def _translated(self, shown: str) -> Iterator[None]:
        errors = importlib.import_module("obstore.exceptions")
        try:
            yield
        except FileNotFoundError as error:
            raise SourceNotFoundError(f"there is nothing at {shown}{_code(str(error))}") from error
        except errors.PreconditionError as error:
            raise ChangedMeanwhileError(f"{shown} was replaced while it was fetched") from error
        except (errors.PermissionDeniedError, errors.UnauthenticatedError) as error:
            raise _refused(shown, str(error)) from error
        except (errors.BaseError, ValueError) as error:
            raise _failure(str(error), shown) from error
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # Rust's way to say that it has a bug
                raise
            message = f"{shown} cannot be read: obstore crashed: {error}"
            raise DownloadFailedError(message, again=False) from error


class StoredFile:
    """One version of an object: another one is never mixed with it."""

    def __init__(self, bucket: Bucket, version: Stored) -> None:
        self._bucket, self._version = bucket, version

    @property
    def shown(self) -> str:
        """Its URI."""
        return f"{self._bucket.shown}/{self._version.key}"

    def open(self, start: int) -> contextlib.AbstractContextManager[Piece]:
        """Ask for the bytes from `start`."""
        return self._bucket.read(self._version, start)


def _stored(meta: Any) -> Stored:  # noqa: ANN401 - obstore's
    # Azure's list has the tag without the quotes that its answers have. A weak one says nothing
    # about bytes.
    tag = str(meta["e_tag"] or "").strip('"')
    strong = tag if tag and not tag.startswith("W/") else None
    return Stored(key=str(meta["path"]), size_bytes=int(meta["size"]), tag=strong)


def _installed(scheme: str) -> Any:  # noqa: ANN401 - a module that may not be there
    try:
        return importlib.import_module("obstore")
    except ModuleNotFoundError as error:
        if error.name != "obstore":
            raise
        message = f'{scheme}:// needs the package obstore: pip install "fairlead[runtime]"'
        raise NotInstalledError(message) from None


def _store(scheme: str, name: str, given: dict[str, str], stall_s: float) -> Any:  # noqa: ANN401
    library = importlib.import_module("obstore.store")
    endpoint = given.get("endpoint") or given.get("base_url")
    if endpoint is None:
        endpoint = next((os.environ[v] for v in _ENDPOINTS[scheme] if os.environ.get(v)), None)
    client: dict[str, Any] = {
        "user_agent": "fairlead-runtime",
        "connect_timeout": _CONNECT,
        "read_timeout": timedelta(seconds=stall_s),
        "timeout": _WHOLE,
    }
    if endpoint and not re.match("https?://[^/]", endpoint):
        message = f"the endpoint of {scheme}:// must begin with http:// or https:// and a host"
        raise DownloadFailedError(message, again=False)
    if endpoint and endpoint.startswith("http://"):
        client["allow_http"] = True
    config: dict[str, Any] = {**given}
    if authority := config.pop("ca", None):
        client["root_certificate"] = authority
    # Our own retries resume a file where it broke off, and are told to the user.
    common = {"client_options": client, "retry_config": {"max_retries": 0}}
    if scheme == "s3":
        return library.S3Store(name, config=config, **_static_keys(config), **common)
    return (library.GCSStore if scheme == "gs" else library.AzureStore)(
        name, config=config, **common
    )


def _static_keys(config: dict[str, Any]) -> dict[str, Any]:
    """Take the Secret's keys out of `config`: a session token of the environment is not theirs."""
    key = config.pop("access_key_id", None)
    credential = {
        "access_key_id": key,
        "secret_access_key": config.pop("secret_access_key", None),
        "token": config.pop("session_token", None),
        "expires_at": None,
    }
    return {"credential_provider": lambda: credential} if key else {}


def _failure(text: str, shown: str) -> FetchError:
    first = " ".join(text.partition("\n\nDebug source")[0].split())
    if any(word in first.lower() for word in _NO_IDENTITY):
        return DownloadRefusedError(
            f"{shown} needs credentials: name a Secret in spec.model.secretName, or give the pod's "
            "ServiceAccount an identity that may read it"
        )
    if status := re.search(r"status code: (\d{3})", first):
        code = status[1]
        if code in ("401", "403"):
            return _refused(shown, first)
        if code == "404":
            return SourceNotFoundError(f"there is nothing at {shown}{_code(first)}")
        again = code.startswith("5") or code in _UNSTEADY
        return DownloadFailedError(f"{shown} answers {code}{_code(first)}", again=again)
    why = re.sub(r"^.*?Error performing \S+ \S+ in \S+ - ", "", first)
    # What went wrong with a connection stands in obstore's debug text alone.
    found = next((words for sign, words in _SIGNS.items() if sign in text), why[:300])
    return DownloadFailedError(f"{shown} cannot be read: {found}")


def _refused(shown: str, text: str) -> DownloadRefusedError:
    return DownloadRefusedError(
        f"{shown} is refused{_code(text)}: check the credentials in spec.model.secretName, or what "
        "the pod's own identity may read"
    )


def _code(text: str) -> str:
    """Return the store's own word for the error, such as SignatureDoesNotMatch."""
    found = re.search(r"<Code>(\w{1,60})</Code>", text)
    return f" ({found[1]})" if found else ""
