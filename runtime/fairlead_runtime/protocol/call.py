"""What a client of the v2 protocol asks for beside the tensors: options, outputs, a time limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fairlead_runtime.protocol.arrays import wrong_tensor
from fairlead_runtime.protocol.errors import InvalidRequestError
from fairlead_runtime.protocol.types import Array, InferRequest, Signature, TensorSpec

Parameters = Mapping[str, bool | int | float | str]
_SCALARS = (bool, int, float, str)


@dataclass(frozen=True, slots=True, kw_only=True)
class InferCall:
    """A request of the v2 protocol.

    Attributes:
        infer: The request to the model.
        raw: Names of the outputs that are to come back as raw bytes.
    """

    infer: InferRequest
    raw: frozenset[str] = frozenset()


def parameters(value: object, field: str) -> Parameters:
    """Return an object of parameters.

    Raises:
        InvalidRequestError: It is none, or a value is neither bool, number nor string.
    """
    if not isinstance(value, dict):
        raise InvalidRequestError(field, "must be an object", expected="an object")
    for name, item in value.items():
        if not isinstance(item, _SCALARS):
            message = "must be true or false, a number or a string"
            raise InvalidRequestError(f"{field}.{name}", message, expected="a scalar")
    return value


def flag(options: Parameters, name: str, field: str, *, otherwise: bool = False) -> bool:
    """Return a parameter that is true or false.

    Raises:
        InvalidRequestError: It is neither.
    """
    value = options.get(name, otherwise)
    if not isinstance(value, bool):
        message = "must be true or false"
        raise InvalidRequestError(f"{field}.{name}", message, expected="true or false")
    return value


def check_plain(options: Parameters, field: str) -> None:
    """Raise InvalidRequestError where an output is wanted as the names of its largest values."""
    most = options.get("classification", 0)
    if type(most) is not int or most != 0:
        message = "is not supported: ask for the output itself"
        raise InvalidRequestError(f"{field}.classification", message, expected="0, or nothing")


def deadline_of(options: Parameters, now: float, deadline: float | None) -> float | None:
    """Return the earlier of a deadline and the one that the parameter `timeout` sets.

    Args:
        options: The request's parameters; `timeout` is in microseconds, as Triton's clients send
            it, and 0 for none.
        now: The monotonic clock.
        deadline: From elsewhere, if any.

    Raises:
        InvalidRequestError: `timeout` is no such number.
    """
    timeout_us = options.get("timeout", 0)
    if type(timeout_us) is not int or timeout_us < 0:
        message = "must be a whole number of microseconds"
        raise InvalidRequestError("parameters.timeout", message, expected="microseconds")
    if timeout_us == 0:
        return deadline
    ends = now + timeout_us / 1e6
    return ends if deadline is None else min(ends, deadline)


def find_input(name: object, signature: Signature, field: str) -> TensorSpec:
    """Return the input of this name.

    Raises:
        InvalidRequestError: The model has none.
    """
    spec = signature.input(name) if isinstance(name, str) else None
    if spec is None:
        known = ", ".join(each.name for each in signature.inputs)
        raise wrong_tensor(field, f"the model has no input {name!r}; it has: {known}", known)
    return spec


def find_output(name: object, before: list[str], signature: Signature, field: str) -> str:
    """Return the name of an output that is asked for.

    Raises:
        InvalidRequestError: The model has no such output, or it was asked for before.
    """
    if not isinstance(name, str) or signature.output(name) is None:
        known = ", ".join(sorted(spec.name for spec in signature.outputs))
        raise wrong_tensor(field, f"the model has no output {name!r}; it has: {known}", known)
    if name in before:
        raise wrong_tensor(field, f"{name!r} is there twice")
    return name


def check_datatype(datatype: object, spec: TensorSpec, field: str) -> None:
    """Raise InvalidRequestError unless this is the datatype of an input."""
    if datatype != spec.datatype:
        raise wrong_tensor(field, f"must be {spec.datatype}, not {datatype!r}", spec.datatype)


def check_inputs(inputs: Mapping[str, Array], signature: Signature) -> None:
    """Raise InvalidRequestError unless every input is there, each with as many rows as its peers.

    Inputs are peers where the model calls their first dimension the same.
    """
    if len(inputs) != len(signature.inputs):
        missing = ", ".join(spec.name for spec in signature.inputs if spec.name not in inputs)
        raise wrong_tensor("inputs", f"missing: {missing}", missing)
    if len(inputs) == 1:
        return
    rows: dict[str, tuple[str, int]] = {}
    for spec in signature.inputs:
        if spec.rows:
            count = len(inputs[spec.name])
            peer, its = rows.setdefault(spec.rows, (spec.name, count))
            if its != count:
                message = f"{peer} has {its} rows, but {spec.name} has {count}"
                raise wrong_tensor("inputs", message, "the same number of rows for each")
