"""What `kubectl get modeldeployments` shows of a model that is asked things."""

from __future__ import annotations

import pytest

from tests.e2e.splits import Address, failed
from tests.e2e.world import until

pytestmark = pytest.mark.slow


def test_the_p99_that_the_pods_tell_is_a_column(address: Address) -> None:
    address.deploy("1")
    address.world.ready("fraud", version="1")

    def shown() -> str:
        return str((address.live().get("status") or {}).get("latencyP99") or "")

    with address.clients(300) as answers:
        value = until("a p99 is shown", shown, 240)
    assert failed(answers) == []
    assert value.removeprefix(">").removesuffix("ms").isdigit(), value
    head, row = address.world.kubectl("get", "modeldeployment", "fraud").splitlines()
    assert row[head.index("P99") :].split()[0].endswith("ms"), (head, row)
