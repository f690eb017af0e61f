"""`docs/sources.md` names what there is."""

from __future__ import annotations

import re
from pathlib import Path

from fairlead_runtime.repository import errors
from fairlead_runtime.repository.onefile import SCHEMES
from fairlead_runtime.repository.secret import KEYS

TEXT = (Path(__file__).parents[3] / "docs" / "sources.md").read_text()


def test_every_scheme_and_every_key_of_a_secret_is_documented() -> None:
    assert set(SCHEMES) <= set(re.findall(r"`([a-z0-9]+)://", TEXT))
    known = {name.lower() for name in re.findall(r"`([\w.-]+)`", TEXT)}
    first = {names[0] for keys in KEYS.values() for names in keys.values()}
    # Spellings that the text leaves out: the store's own names for anonymous, authority, endpoint.
    spelt = {"skip_signature", "ca_bundle", "base_url", "azure_storage_endpoint"}
    assert {key for key in first if not any(key.endswith(each) for each in spelt)} <= known


def test_every_reason_stands_in_the_row_of_its_exit_status() -> None:
    rows = {line[2]: line for line in TEXT.splitlines() if re.match(r"\| [12],", line)}
    found = [each for each in vars(errors).values() if isinstance(each, type)]
    assert len(found) > 8
    for error in found:
        if issubclass(error, errors.FetchError):
            assert f"`{error.reason}`" in rows["2" if error.blames_model else "1"]
