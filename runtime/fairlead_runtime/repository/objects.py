"""Models in object stores: s3://, gs:// and az://, as one object or as a folder of objects."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from fairlead_runtime.repository.bucket import Bucket, Stored
from fairlead_runtime.repository.errors import (
    ChangedMeanwhileError,
    DownloadFailedError,
    DownloadRefusedError,
    InvalidModelError,
    SourceNotFoundError,
    UnsupportedSchemeError,
)
from fairlead_runtime.repository.files import MODEL_FILE
from fairlead_runtime.repository.transfer import Budget, Patience, Progress, transfer

log = logging.getLogger(__name__)
SCHEMES = ("s3", "gs", "az")
_MOST_FILES = 1000
_ROUNDS = 3


def fetch_objects(
    uri: str,
    target: Path,
    *,
    limit_bytes: int,
    patience: Patience,
    progress: Progress,
    secret_dir: Path | None,
) -> bool:
    """Bring the object or the folder at `uri` into `target`, all of it of one moment.

    It is looked at again when the last byte came. Where something was replaced meanwhile, all of it
    is fetched anew, because new weights and an old graph make no model.

    Returns:
        Whether it is an object.

    Raises:
        FetchError: It is not there, refused, too large, or failed too often.
    """
    bucket, key = _place(uri, patience=patience, secret_dir=secret_dir)
    for round_ in range(_ROUNDS):
        found = _find(bucket, key)
        budget = Budget(limit_bytes)
        budget.check(sum(each.size_bytes for each in found.values()), uri)
        try:
            for goal, version in found.items():
                path = target / goal
                path.parent.mkdir(parents=True, exist_ok=True)
                file = bucket.file(version)
                transfer(file, path, budget=budget, patience=patience, progress=progress)
            if _find(bucket, key) == found:
                return found[MODEL_FILE].key == key
        except ChangedMeanwhileError:
            pass
        log.warning("%s changed while it was fetched; all of it anew", uri)
        for goal in found:
            (target / goal).unlink(missing_ok=True)
        patience.pause(round_)
    raise DownloadFailedError(f"{uri} changes again and again while it is fetched", again=False)


def fetch_object(
    uri: str,
    goal: Path,
    *,
    limit_bytes: int,
    patience: Patience,
    progress: Progress,
    secret_dir: Path | None,
) -> None:
    """Bring the one object at `uri` to `goal`.

    Raises:
        FetchError: It is not there, refused, too large, replaced meanwhile, or failed too often.
    """
    bucket, key = _place(uri, patience=patience, secret_dir=secret_dir)
    file = bucket.file(bucket.look(key))
    transfer(file, goal, budget=Budget(limit_bytes), patience=patience, progress=progress)


def _place(uri: str, *, patience: Patience, secret_dir: Path | None) -> tuple[Bucket, str]:
    scheme, _, place = uri.partition("://")
    name, _, key = place.partition("/")
    parts = key.removesuffix("/").split("/")
    if not name or not all(parts) or {".", ".."} & set(parts):
        raise UnsupportedSchemeError(
            f"{uri} is not {scheme}://bucket/key: it needs a key, without empty parts, '.' and '..'"
        )
    return Bucket(scheme, name, patience=patience, secret_dir=secret_dir), key


def _find(bucket: Bucket, key: str) -> Mapping[str, Stored]:
    """Return the objects that make the model, by where they go."""
    if not key.endswith("/"):
        try:
            found = {MODEL_FILE: bucket.look(key)}
        except SourceNotFoundError:
            log.debug("%s/%s is no object; perhaps it is a folder", bucket.shown, key)
        else:
            return found | _external_data(bucket, key)
    folder = key.removesuffix("/")
    found = _folder(bucket, folder)
    if MODEL_FILE not in found:
        names = ", ".join(sorted(found)[:8])
        there = f"; there are: {names}" if names else ""
        what = "no folder" if key.endswith("/") else "neither an object nor a folder"
        message = f"there is {what} {bucket.shown}/{folder} with {MODEL_FILE}{there}"
        raise SourceNotFoundError(message)
    return found


def _external_data(bucket: Bucket, key: str) -> dict[str, Stored]:
    """Large models keep their weights in a file beside them, by custom `<model>.data`."""
    beside = f"{key}.data"
    try:
        return {beside.rpartition("/")[2]: bucket.look(beside)}
    except SourceNotFoundError:
        return {}
    except DownloadRefusedError:
        # Stores answer so where one may read an object, but may not know which ones there are.
        log.info("%s/%s may not be read: taken as not there", bucket.shown, beside)
        return {}


def _folder(bucket: Bucket, folder: str) -> dict[str, Stored]:
    listed = bucket.all_under(folder, _MOST_FILES)
    if len(listed) > _MOST_FILES:
        raise InvalidModelError(
            f"{bucket.shown}/{folder} has more than {_MOST_FILES} objects: name the model's folder"
        )
    found = {each.key.removeprefix(f"{folder}/"): each for each in listed if each.key != folder}
    # Consoles make an empty object for a folder; hidden files are no part of a model.
    folders = {str(parent) for goal in found for parent in Path(goal).parents}
    return {
        goal: each
        for goal, each in found.items()
        if goal not in folders and not any(part.startswith(".") for part in goal.split("/"))
    }
