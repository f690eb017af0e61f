"""Brings a drift profile with its model. Whatever is wrong with it, there is a model to serve."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path

from fairlead_runtime.contract.drift_names import PROBLEM_FILE, PROFILE_BYTES, PROFILE_FILE
from fairlead_runtime.repository.errors import FetchError, ModelTooLargeError
from fairlead_runtime.repository.onefile import Wish, bring_file
from fairlead_runtime.repository.transfer import Patience

log = logging.getLogger(__name__)
_RETRIES = 2
_STALL_S = 10.0


def bring_profile(uri: str, target: Path, wish: Wish) -> None:
    """Bring the profile that was asked for; where it cannot be had, leave word why.

    The model does not wait long for it, and is not refused for want of it: `profile.problem` holds
    one line for whoever serves, who tells the operator. One that came with the model's folder gives
    way either way, because another one was asked for.

    Args:
        uri: Of a file, as `bring_file` takes it.
        target: The folder with the model.
        wish: How it is to be read; its limit and patience are a model's, and not taken.
    """
    goal = target / PROFILE_FILE
    goal.unlink(missing_ok=True)
    try:
        _bring(uri, goal, wish, retries=_RETRIES)
    except (FetchError, OSError) as error:
        goal.unlink(missing_ok=True)
        reason = error.reason if isinstance(error, FetchError) else "DownloadFailed"
        line = " ".join(f"{reason}: {error}".split())
        (target / PROBLEM_FILE).write_text(line)
        log.warning("%s; the model is served without a drift profile", line)


def bring_profile_beside(model_uri: str, target: Path, wish: Wish) -> None:
    """Bring `profile.json` from beside a model of one file, if there is one.

    That there is none, or that nobody may read it, is no error and leaves nothing.
    """
    goal = target / PROFILE_FILE
    if goal.exists():
        return
    uri = beside(model_uri)
    try:
        _bring(uri, goal, wish, retries=0)
        with goal.open("rb") as handle:
            plausible = handle.read(64).lstrip().startswith(b"{")
        if not plausible:  # some servers answer anything with their front page
            goal.unlink()
    except (FetchError, OSError) as error:
        goal.unlink(missing_ok=True)
        log.debug("no drift profile beside the model: %s", error)


def beside(model_uri: str) -> str:
    """Return where `profile.json` is, if it lies beside this file; a signature is not for it."""
    if model_uri.startswith(("http://", "https://")):
        model_uri = re.split("[?#]", model_uri, maxsplit=1)[0]
    return f"{model_uri.rpartition('/')[0]}/{PROFILE_FILE}"


def _bring(uri: str, goal: Path, wish: Wish, *, retries: int) -> None:
    patience = Patience(
        retries=min(retries, wish.patience.retries),
        stall_s=min(_STALL_S, wish.patience.stall_s),
        sleep=wish.patience.sleep,
    )
    try:
        bring_file(uri, goal, replace(wish, limit_bytes=PROFILE_BYTES, patience=patience))
    except ModelTooLargeError as error:
        message = (
            f"{uri.partition('?')[0]} has more than the {PROFILE_BYTES >> 20} MiB of a profile"
        )
        raise ModelTooLargeError(message) from error
