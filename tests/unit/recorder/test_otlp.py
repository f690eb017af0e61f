"""Access logs are read whatever users put into headers."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_recorder.http.otlp import Entry, Request, entries


def export(**said: bytes) -> bytes:
    request = Request()
    record = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=5_000)
    for key, value in said.items():
        record.attributes.add(key=key.encode()).value.string_value = value
    return bytes(request.SerializeToString())


def test_an_entry_has_what_the_router_said() -> None:
    body = export(experiment=b"uid", unit=b"salt:alice", arm=b"a", variant=b"b", epoch=b"7")
    assert entries(body) == {"uid": [Entry("salt:alice", "a", "b", 7, 5)]}


def test_bytes_as_a_foreign_encoder_writes_them_are_read() -> None:
    # One record in hexadecimal: time 5000 ns, then the attribute unit=s:u; and a field of later
    # versions, number 99, which is passed over.
    attribute = bytes.fromhex("0a04") + b"unit" + bytes.fromhex("1205 0a03") + b"s:u"
    record = bytes.fromhex("09 8813000000000000") + b"\x32" + bytes([len(attribute)]) + attribute
    record += bytes.fromhex("9a06 01 78")
    scope = b"\x12" + bytes([len(record)]) + record
    resource = b"\x12" + bytes([len(scope)]) + scope
    body = b"\x0a" + bytes([len(resource)]) + resource
    assert entries(body) == {"": [Entry("s:u", "", "", -1, 5)]}


@pytest.mark.parametrize("epoch", [b"", b"-", b"-1", b"1.5", "²".encode(), b"9" * 4_000])
def test_an_epoch_that_is_no_number_is_none(epoch: bytes) -> None:
    assert entries(export(epoch=epoch))[""][0].epoch == -1


def test_a_user_that_is_not_text_is_nobody_and_harms_nobody() -> None:
    both = export(unit=b"salt:\xff") + export(unit=b"salt:bob")
    assert [one.unit for one in entries(both)[""]] == [None, "salt:bob"]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(entries(body), dict)
