"""Every error of a prediction is counted by its code, and the budget's codes are codes."""

from __future__ import annotations

from fairlead_runtime.contract import names
from fairlead_runtime.metrics.counters import Metrics
from fairlead_runtime.protocol import errors
from fairlead_runtime.protocol.errors import Code, RequestError


def test_every_error_that_a_prediction_can_end_with_is_counted_by_its_code() -> None:
    metrics = Metrics(model_name="m", model_version="7")
    codes = {
        each.code
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, RequestError)
    }
    codes |= {Code.INVALID_JSON, Code.INVALID_TENSOR, Code.INVALID_ENCODING}
    for code in codes:
        metrics.failed(code)
    text = metrics.render().decode()
    for code in codes:
        sample = f'{names.PREDICTION_ERRORS_TOTAL}{{code="{code}",model_version="7"}} 1.0'
        assert sample in text
    errors_in_all = f'{names.PREDICTIONS_TOTAL}{{model_version="7",status="error"}}'
    assert f"{errors_in_all} {float(len(codes))}" in text


def test_what_blames_the_server_is_among_the_codes() -> None:
    assert set(names.SERVER_FAULTS) < {code.value for code in Code}
    assert Code.INVALID_TENSOR.value not in names.SERVER_FAULTS
