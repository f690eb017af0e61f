"""What requests about models carry: registrations, outcomes, and the runtime's prediction log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from pydantic import Field, TypeAdapter

from fairlead_recorder.http.wire import MOST_OUTCOMES, UID_PATTERN, Text, Wire
from fairlead_recorder.store.pairs import Prediction

EVENT = "dev.fairlead.prediction.v1"
"""The type of the runtime's events; its data does not change without another number."""
BATCH_TYPE = "application/cloudevents-batch+json"
MOST_EVENTS = 10_000
MOST_ITEMS = 4096
"""Rows of a request that are compared."""
LONGEST_VALUE = 256

RequestId = Annotated[Text, Field(max_length=256)]
Value = Annotated[Text, Field(max_length=LONGEST_VALUE)] | bool | int | float


class ModelIn(Wire):
    """How a model's answers are compared."""

    uid: str = Field(pattern=UID_PATTERN, description="UID of the ModelDeployment.")
    output: str = Field(default="", max_length=256, description="The output; the first if empty.")
    tolerance: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] | None = Field(
        default=None, description="How far a number may be off. Without it, labels are compared."
    )
    window_seconds: int = Field(default=3600, ge=60, le=86_400)


class TruthIn(Wire):
    """What turned out to be true."""

    request_id: RequestId = Field(description="The `x-request-id` of the prediction's request.")
    row: int = Field(default=0, ge=0, lt=MOST_ITEMS, description="Which of the request's rows.")
    outcome: Value = Field(description="The label, or the number.")


class TruthsIn(Wire):
    """A batch."""

    outcomes: list[TruthIn] = Field(min_length=1, max_length=MOST_OUTCOMES)


MODEL: TypeAdapter[ModelIn] = TypeAdapter(ModelIn)
TRUTHS: TypeAdapter[TruthsIn] = TypeAdapter(TruthsIn)


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """What a batch of events says.

    Attributes:
        predictions: One for each row.
        skipped: Events that cannot be compared: without a request's id, of another type, redacted,
            too large, or with more than one value a row.
    """

    predictions: list[Prediction]
    skipped: int


def events(body: bytes, output: str, revision: str) -> Events:
    """Read a batch of CloudEvents.

    Args:
        body: The request's body.
        output: The output that is compared; empty for the first.
        revision: Whose they are; empty: the model's version says it.

    Raises:
        ValueError: It is no batch of CloudEvents; the message says why.
    """
    try:
        batch = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"this is no JSON: {error}") from None
    if not isinstance(batch, list) or len(batch) > MOST_EVENTS:
        raise ValueError(f"send an array of at most {MOST_EVENTS} CloudEvents")
    found: list[Prediction] = []
    skipped = 0
    for event in batch:
        values = list(_values(event, output))
        if not values:
            skipped += 1
            continue
        data = event["data"]
        mine = revision or str(data.get("model_version", ""))[:63]
        found += [
            Prediction(data["request_id"], item, mine, text(value))
            for item, value in enumerate(values)
            if value is not None
        ]
    return Events(predictions=found, skipped=skipped)


def text(value: object) -> str:
    """Return a value as it is compared: 1, 1.0 and true are the same label."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool):
        value = int(value)
    return str(value)


def _values(event: Any, output: str) -> Iterator[object]:  # noqa: ANN401 - JSON of anybody
    """Return the value of each row, nothing where the event cannot be compared."""
    if not isinstance(event, Mapping) or event.get("type") != EVENT:
        return
    data = event.get("data")
    if not isinstance(data, Mapping):
        return
    request, outputs = data.get("request_id"), data.get("outputs")
    if not isinstance(request, str) or not 0 < len(request) <= LONGEST_VALUE:  # noqa: PLR2004
        return
    if not request.isprintable() or not isinstance(outputs, Sequence):
        return
    for tensor in outputs:
        if not isinstance(tensor, Mapping) or (output and tensor.get("name") != output):
            continue
        values, shape = tensor.get("data"), tensor.get("shape")
        if isinstance(values, list) and isinstance(shape, list) and len(values) <= MOST_ITEMS:
            rows = shape[0] if shape else 1
            if rows == len(values) and all(_plain(value) for value in values):
                yield from values
        return


def _plain(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_VALUE and "\x00" not in value
    return value is None or isinstance(value, (bool, int, float))
