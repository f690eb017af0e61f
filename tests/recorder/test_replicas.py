"""Several recorders on one PostgreSQL: any of them may die, and the sums are those of one."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import pytest

from fairlead_recorder.store import gaps
from fairlead_recorder.store.database import Session
from tests.recorder import otlp
from tests.recorder.process import Recorder, recorder
from tests.recorder.test_kill import batches, sender
from tests.recorder.worlds import HOUR, SECOND, START, arm_of
from tests.router.asking import eventually

_USERS = [f"u{number}" for number in range(5_000)]


def test_the_restart_of_one_of_several_is_no_gap(session: Session) -> None:
    assert gaps.started(session, START, 0) is None
    assert gaps.started(session, START + SECOND, 1) is None
    gaps.beat(session, START + 30 * SECOND, 1)
    assert gaps.started(session, START + 32 * SECOND, 0) is None, "the other one was there"
    gap = gaps.started(session, START + 60 * SECOND, 1)
    assert gap is not None, "nobody was"
    assert (gap.started, gap.ended) == (START + 32 * SECOND, START + 60 * SECOND)
    assert gaps.started(session, START + 61 * SECOND, 0) is None
    assert gaps.between(session, START, START + HOUR).count == 1


@pytest.mark.postgresql
@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_two_share_the_work_and_one_may_be_killed(postgres: str, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        served: list[Recorder] = []
        for replica in range(2):
            folder = tmp_path / str(replica)
            folder.mkdir()
            flags = ("--no-authentication", f"--replica={replica}")
            served.append(stack.enter_context(recorder(postgres, folder, *flags)))
        one, two = served
        one.register()
        for index in range(2):  # both see every user: whoever is first, it is one exposure
            for half in (_USERS[:3_000], _USERS[2_000:]):
                entries = [(f"pepper:{user}", arm_of(user), arm_of(user)) for user in half]
                body = otlp.export(entries, uid=one.uid, at=time.time_ns())
                assert otlp.send(served[index], body).status_code == 200

        waiting = batches()[:100]
        every = [outcome for batch in waiting for outcome in batch]
        acknowledged: list[str] = []
        tasks = [
            asyncio.create_task(sender(f"{each.url}{each.path}/outcomes", waiting, acknowledged))
            for each in (one, two, one, two)
        ]
        await eventually(lambda: len(acknowledged) >= len(every) // 3, 200)
        two.kill()
        await eventually(lambda: len(acknowledged) >= len(every) // 2, 200)
        await asyncio.to_thread(two.start)
        await asyncio.gather(*tasks)

        assert len(acknowledged) == len(every)
        first, second = one.summary(), two.summary()
        assert first["epochs"] == second["epochs"]
        assert first["counters"] == second["counters"]
        assert first["counters"]["counted"] == len(every)
        arms = first["epochs"][0]["arms"]
        assert sum(arm["units"] for arm in arms.values()) == len(_USERS)
        total = sum(int(arm["metrics"]["revenue"]["totalMillionths"]) for arm in arms.values())
        assert total == sum(int(str(outcome["value"])) for outcome in every) * 1_000_000
        assert first["gaps"]["count"] == 0, "one was always there"
        done = one.command("recount", "shop/checkout")
        assert done.returncode == 0, done.stdout
