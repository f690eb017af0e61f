"""URIs of models and of what belongs to them: the rules that every field with one has."""

from __future__ import annotations

from typing import Any

from fairlead_operator.api.v1alpha1.common import rules


def uri_rules(field: str, file: str) -> dict[str, Any]:
    """Return the CEL rules of a field with a URI.

    Args:
        field: Its name, for the messages.
        file: The file that the messages take as an example.
    """
    return rules(
        (
            "self.matches('^(file|pvc|configmap|http|https|s3|gs|az)://')",
            (
                f"{field} must begin with file://, pvc://, configmap://, http://, https://, "
                "s3://, gs:// or az://"
            ),
        ),
        (
            "!self.startsWith('file://') || self.matches('^file:///[^/\\\\s]')",
            f"a file:// {field} needs an absolute path, for example file:///models/{file}",
        ),
        (
            (
                "!self.startsWith('pvc://') || "
                "self.matches('^pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[^/\\\\s]')"
            ),
            f"a pvc:// {field} is pvc://claim/path, for example pvc://models/fraud/{file}",
        ),
        (
            (
                "!self.startsWith('configmap://') || self.matches("
                "'^configmap://[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[-._a-zA-Z0-9]+$')"
            ),
            (
                f"a configmap:// {field} is configmap://name/key, "
                f"for example configmap://fraud-model/{file}"
            ),
        ),
        (
            "!self.startsWith('http') || self.matches('^https?://[^/?#\\\\s]+/[^\\\\s]+$')",
            (
                f"an http(s):// {field} needs a host and a path, "
                f"for example https://models.example.com/fraud/{file}"
            ),
        ),
        (
            (
                "!self.matches('^(s3|gs|az)://') || self.matches("
                "'^(s3|gs|az)://[a-z0-9]([-a-z0-9._]*[a-z0-9])?(/[^/\\\\s]+)+/?$')"
            ),
            (
                f"an s3://, gs:// or az:// {field} is a bucket or container and a key, "
                f"for example s3://models/fraud/7/{file}"
            ),
        ),
        (
            "!self.matches('^(https?|s3|gs|az)://[^/]*@')",
            (
                f"credentials do not belong in the {field}: put them in a Secret and name it in "
                "secretName"
            ),
        ),
        (
            "!self.matches('/[.][.](/|$)')",
            f"a {field} must not contain the path segment ..",
        ),
    )
