"""The arm of a user, against numbers from elsewhere."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_runtime.contract import assignment
from fairlead_runtime.contract.assignment import SLOTS, Run

_MASK = (1 << 64) - 1
_P1, _P2, _P3, _P4, _P5 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)


def _rotated(x: int, by: int) -> int:
    return ((x << by) | (x >> (64 - by))) & _MASK


def _round(acc: int, lane: int) -> int:
    return _rotated((acc + lane * _P2) & _MASK, 31) * _P1 & _MASK


def _xxh64(data: bytes) -> int:
    """Return XXH64 with seed 0, written from its specification."""
    rest = data
    if len(data) >= 32:
        lanes = [(_P1 + _P2) & _MASK, _P2, 0, -_P1 & _MASK]
        while len(rest) >= 32:
            words = struct.unpack("<4Q", rest[:32])
            lanes = [_round(acc, word) for acc, word in zip(lanes, words, strict=True)]
            rest = rest[32:]
        acc = sum(_rotated(v, r) for v, r in zip(lanes, (1, 7, 12, 18), strict=True)) & _MASK
        for lane in lanes:
            acc = ((acc ^ _round(0, lane)) * _P1 + _P4) & _MASK
    else:
        acc = _P5
    acc = (acc + len(data)) & _MASK
    while len(rest) >= 8:
        acc ^= _round(0, struct.unpack("<Q", rest[:8])[0])
        acc = (_rotated(acc, 27) * _P1 + _P4) & _MASK
        rest = rest[8:]
    if len(rest) >= 4:
        acc ^= struct.unpack("<I", rest[:4])[0] * _P1 & _MASK
        acc = (_rotated(acc, 23) * _P2 + _P3) & _MASK
        rest = rest[4:]
    for byte in rest:
        acc = _rotated(acc ^ (byte * _P5 & _MASK), 11) * _P1 & _MASK
    acc = (acc ^ (acc >> 33)) * _P2 & _MASK
    acc = (acc ^ (acc >> 29)) * _P3 & _MASK
    return acc ^ (acc >> 32)


@pytest.mark.parametrize(
    ("data", "digest"),
    [(b"", 0xEF46DB3751D8E999), (b"a", 0xD24EC4F1A98C6E5B), (b"abc", 0x44BC2CF5AD770999)],
    ids=["empty", "a", "abc"],
)
def test_the_hash_of_these_tests_is_xxh64(data: bytes, digest: int) -> None:
    assert _xxh64(data) == digest


@given(st.from_regex(r"[!-~]{0,40}", fullmatch=True), st.text(max_size=60))
def test_a_slot_is_xxh64_of_salt_and_user(salt: str, user: str) -> None:
    hashed = f"{salt}:{user.strip(chr(32) + chr(9))}".encode()
    assert assignment.slot(salt, user) == _xxh64(hashed) % SLOTS


@pytest.mark.parametrize(
    ("salt", "user", "slot"),
    [("exp-1", "alice", 1230), ("exp-1", "bob", 5248), ("salt", "zo\u00eb", 2505)],
)
def test_slots_stay_what_they_are(salt: str, user: str, slot: int) -> None:
    """Another hash would move everybody, in mid-experiment."""
    assert assignment.slot(salt, user) == slot


def test_white_space_around_a_user_is_no_part_of_it() -> None:
    assert assignment.unit("s", " \tbob ") == "s:bob"
    assert assignment.slot("s", "a b") != assignment.slot("s", "ab")


def test_another_salt_deals_users_out_anew() -> None:
    same = sum(
        assignment.slot("one", f"u{i}") == assignment.slot("two", f"u{i}") for i in range(1000)
    )
    assert same < 5


@given(st.text())
def test_every_user_has_a_slot_and_an_arm(user: str) -> None:
    table = (Run("a", 2_500), Run("b", 7_500))
    slot = assignment.slot("salt", user)
    assert 0 <= slot < SLOTS
    assert assignment.arm(table, "salt", user) == ("a" if slot < 2_500 else "b")
