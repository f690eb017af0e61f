"""Compares what a model takes and gives with what clients rely on. Pure."""

from __future__ import annotations

from typing import Any

from fairlead_runtime.protocol.types import DATATYPES, Signature, TensorSpec


def differences(*, wanted: Signature, actual: Signature) -> tuple[str, ...]:
    """Return why a client that relies on `wanted` would fail with `actual`; empty if none would.

    More outputs than wanted are no difference, and neither is a free axis where the client uses
    one size. An input that the client does not send is.
    """
    found = _missing("input", wanted.inputs, actual.inputs)
    known = {spec.name for spec in wanted.inputs}
    for spec in actual.inputs:
        if spec.name not in known:
            found.append(f"input {spec.name} is required, but clients do not send it")
    found += _missing("output", wanted.outputs, actual.outputs)
    return tuple(found)


def parse(document: object) -> Signature:
    """Read a signature from JSON: v2 model metadata, or what `inspect --output json` prints.

    Raises:
        ValueError: It is none; the message says what is missing.
        TypeError: A shape is no list.
    """
    if not isinstance(document, dict) or not {"inputs", "outputs"} <= document.keys():
        raise ValueError("a signature is an object with inputs and outputs")
    return Signature(
        inputs=tuple(_spec(each) for each in document["inputs"]),
        outputs=tuple(_spec(each) for each in document["outputs"]),
    )


def _missing(
    what: str, wanted: tuple[TensorSpec, ...], actual: tuple[TensorSpec, ...]
) -> list[str]:
    by_name = {spec.name: spec for spec in actual}
    found: list[str] = []
    for spec in wanted:
        have = by_name.get(spec.name)
        if have is None:
            names = ", ".join(by_name) or "none"
            found.append(f"{what} {spec.name} is missing; the model has {names}")
        elif have.datatype != spec.datatype:
            found.append(f"{what} {spec.name} is {have.datatype}, but must be {spec.datatype}")
        elif not _fits(what, spec.shape, have.shape):
            found.append(
                f"{what} {spec.name} has shape {list(have.shape)}, but must have {list(spec.shape)}"
            )
    return found


def _fits(what: str, wanted: tuple[int, ...], have: tuple[int, ...]) -> bool:
    if len(wanted) != len(have):
        return False
    pairs = zip(wanted, have, strict=True)
    if what == "input":  # the model may take more than the client sends
        return all(mine in (-1, theirs) for theirs, mine in pairs)
    return all(theirs in (-1, mine) for theirs, mine in pairs)


def _spec(tensor: Any) -> TensorSpec:  # noqa: ANN401 - JSON
    if not isinstance(tensor, dict) or not {"name", "datatype", "shape"} <= tensor.keys():
        raise ValueError("each input and output has name, datatype and shape")
    datatype, shape = str(tensor["datatype"]), tensor["shape"]
    if datatype not in DATATYPES:
        raise ValueError(f"datatype {datatype} is none of {', '.join(DATATYPES)}")
    if not isinstance(shape, list):
        raise TypeError(f"the shape of {tensor['name']} must be a list")
    sizes = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in shape)
    return TensorSpec(name=str(tensor["name"]), datatype=datatype, shape=sizes)
