"""What a model takes and answers, for people who do not know its inputs and outputs."""

from __future__ import annotations

from dataclasses import dataclass, field

from fairlead_runtime.protocol.types import Signature, TensorSpec

_LABELS = frozenset({"BYTES", "INT64", "INT32", "BOOL", "UINT8", "INT8"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """Which outputs of a model become `prediction` and `probability`.

    Attributes:
        prediction: Name of the output that is the prediction.
        probability: Name of the output with its probability, if there is one.
        outputs: The names of both, as a request to the model wants them.
        width: Where the model takes rows of FP32 numbers and nothing else, how many of them, or -1
            for any number; else None.
    """

    prediction: str
    probability: str | None
    width: int | None = None
    outputs: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = (self.prediction, self.probability) if self.probability else (self.prediction,)
        object.__setattr__(self, "outputs", names)


def answering(signature: Signature) -> Answering:
    """Choose the outputs: a label where the model gives one, and the probabilities beside it.

    A label is an output of one integer, string or boolean a row. Probabilities are an output
    whose name says so, or the first other output of a model that gives a label.
    """
    outputs = signature.outputs
    label = next((spec for spec in outputs if _is_label(spec)), None)
    prediction = label or next((s for s in outputs if not _named_probability(s)), outputs[0])
    rest = [spec for spec in outputs if spec.name != prediction.name]
    probability = next((spec for spec in rest if _named_probability(spec)), None)
    if probability is None and label is not None and rest:
        probability = rest[0]
    return Answering(
        prediction=prediction.name,
        probability=probability.name if probability else None,
        width=_width(signature),
    )


def _width(signature: Signature) -> int | None:
    spec = signature.inputs[0] if len(signature.inputs) == 1 else None
    if (
        spec is None
        or spec.datatype != "FP32"
        or len(spec.shape) != 2
        or spec.shape[0] not in (-1, 1)
    ):
        return None
    return spec.shape[1]


def _is_label(spec: TensorSpec) -> bool:
    one = len(spec.shape) <= 1 or (len(spec.shape) == 2 and spec.shape[1] == 1)
    return spec.datatype in _LABELS and one and not _named_probability(spec)


def _named_probability(spec: TensorSpec) -> bool:
    return "prob" in spec.name.lower()
