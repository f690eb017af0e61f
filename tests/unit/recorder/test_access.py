"""Tokens are asked for once and remembered for a short time."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp.test_utils import make_mocked_request

from fairlead_recorder.http import access
from fairlead_recorder.http.access import Access, UnreachableError
from fairlead_recorder.http.errors import RefusedError

WEB = "system:serviceaccount:shop:web"


class Reviews:
    """Answers as an API server would, and counts."""

    def __init__(self, **known: str) -> None:
        self.known = known
        self.asked = 0
        self.away = False

    async def __call__(self, token: str) -> str | None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise UnreachableError("away")
        return self.known.get(token)


def asking(token: str) -> object:
    return make_mocked_request("POST", "/", headers={"Authorization": f"Bearer {token}"})


async def name(made: Access, token: str) -> str:
    return (await made.writer(asking(token))).name  # type: ignore[arg-type]


async def test_many_at_once_ask_once() -> None:
    reviews = Reviews(good=WEB)
    made = Access(reviews)
    assert set(await asyncio.gather(*(name(made, "good") for _ in range(50)))) == {WEB}
    assert reviews.asked == 1


async def test_a_refusal_is_remembered_for_a_shorter_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    reviews = Reviews(good=WEB)
    made = Access(reviews)
    await name(made, "good")
    for _ in range(3):
        with pytest.raises(RefusedError, match="not valid"):
            await name(made, "bad")
    assert reviews.asked == 2
    now += 11
    with pytest.raises(RefusedError):
        await name(made, "bad")
    await name(made, "good")
    assert reviews.asked == 3
    now += 50
    await name(made, "good")
    assert reviews.asked == 4


async def test_nobody_is_let_in_while_the_api_server_is_away() -> None:
    reviews = Reviews(good=WEB)
    reviews.away = True
    made = Access(reviews)
    with pytest.raises(RefusedError) as refused:
        await name(made, "good")
    assert refused.value.status == 503
    reviews.away = False
    assert await name(made, "good") == WEB


async def test_only_serviceaccounts_may_write_and_what_is_remembered_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access, "_MOST_KEPT", 20)
    made = Access(Reviews(admin="kubernetes-admin"))
    with pytest.raises(RefusedError):
        await name(made, "admin")
    for i in range(25):
        with pytest.raises(RefusedError):
            await name(made, f"t{i}")
    assert len(made._kept) == 20


@pytest.mark.parametrize(
    ("who", "namespace", "may"),
    [
        (WEB, "shop", True),
        (WEB, "sho", False),
        (WEB, "shop:web", False),
        ("system:serviceaccount:shop2:web", "shop", False),
    ],
)
def test_a_writer_is_of_one_namespace(who: str, namespace: str, may: bool) -> None:
    assert access.Writer(who, everywhere=False).may_write(namespace) is may
