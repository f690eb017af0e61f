"""What all models of the API share: naming, leniency, and how rules stand beside fields."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class APIModel(BaseModel):
    """A part of a resource.

    Unknown fields are ignored: a resource that a newer CRD admitted must not crash this operator.
    `kubectl apply` refuses them before, where this version's CRD is installed.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True
    )


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """Return CEL rules for `json_schema_extra`: pairs of an expression and a message in words."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": text} for rule, text in pairs]}


PRESERVE: dict[str, Any] = {"x-kubernetes-preserve-unknown-fields": True}
"""For parts that are Kubernetes' own and are passed through word for word."""

PassedThrough = Annotated[dict[str, Any], Field(json_schema_extra=PRESERVE)]
"""An object of Kubernetes' own API, checked by the API server when it is applied."""

Quantity = Annotated[
    int | str,
    Field(
        json_schema_extra={
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "maxLength": 32,
        }
    ),
]
"""A Kubernetes quantity such as `500m`, `2` or `1Gi`."""
