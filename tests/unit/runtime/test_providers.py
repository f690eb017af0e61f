"""What is told of where a model runs."""

from __future__ import annotations

import logging

import onnxruntime as ort
import pytest

from fairlead_runtime.engine.providers import (
    CPU,
    CUDA,
    Asked,
    Provider,
    ProviderError,
    candidates,
    outcome,
    tell,
)


@pytest.fixture(params=[True, False], ids=["gpu-build", "cpu-build"])
def built_with_cuda(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """onnxruntime's two packages: what each says that it was built with."""
    names = [CUDA, CPU] if request.param else [CPU]
    monkeypatch.setattr(ort, "get_available_providers", lambda: names)
    return bool(request.param)


@pytest.mark.parametrize("asked", list(Asked))
def test_cuda_is_tried_where_it_is_wanted_and_built_in(asked: Asked, built_with_cuda: bool) -> None:
    names, why = candidates(asked)
    wanted = asked is not Asked.CPU and built_with_cuda
    assert names == ([CUDA, CPU] if wanted else [CPU])
    assert bool(why) == (asked is Asked.CUDA and not built_with_cuda)


def test_a_cuda_that_did_not_start_is_never_told_as_used(built_with_cuda: bool) -> None:
    _, why = candidates(Asked.CUDA)
    found = outcome(Asked.CUDA, [CPU], why)
    assert found.used == CPU
    # Here there is no such library, which is just what a machine without CUDA looks like.
    assert ("libraries are missing" if built_with_cuda else "built without CUDA") in found.why


def test_cuda_that_runs_needs_no_reason() -> None:
    assert outcome(Asked.AUTO, [CUDA, CPU], "x") == Provider(asked=Asked.AUTO, used=CUDA)


def test_what_was_asked_for_and_not_had_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    fell_back = Provider(asked=Asked.CUDA, used=CPU, why="there is no GPU")
    tell(fell_back, fallback=True)
    assert [each.levelno for each in caplog.records] == [logging.WARNING]
    assert "runs on the CPU: there is no GPU" in caplog.text


def test_where_no_other_will_do_it_ends() -> None:
    fell_back = Provider(asked=Asked.CUDA, used=CPU, why="there is no GPU")
    with pytest.raises(ProviderError, match="CUDA was asked for, but there is no GPU"):
        tell(fell_back, fallback=False)
    tell(Provider(asked=Asked.CUDA, used=CUDA), fallback=False)
    tell(Provider(asked=Asked.AUTO, used=CPU, why="there is no GPU"), fallback=False)
