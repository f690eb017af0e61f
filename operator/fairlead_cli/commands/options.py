"""Flags that many commands share, before or after the command's name."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from fairlead_cli import output
from fairlead_cli.cluster import Cluster

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which cluster and namespace a command is about.

    Attributes:
        kubeconfig: File; None takes KUBECONFIG or the usual place, as kubectl does.
        context: Context of it; None takes the current one.
        namespace: Namespace; None takes the context's.
    """

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None

    def connect(self) -> Cluster:
        """Connect to it."""
        kubeconfig = self.kubeconfig or os.environ.get("KUBECONFIG") or None
        return Cluster.connect(
            kubeconfig=kubeconfig, context=self.context, namespace=self.namespace
        )


_FLAGS: tuple[Callable[[F], F], ...] = (
    click.option(
        "-n", "--namespace", metavar="NAME", help="Namespace (default: that of the context)."
    ),
    click.option("--context", metavar="NAME", help="Context of the kubeconfig."),
    click.option(
        "--kubeconfig", metavar="FILE", help="Kubeconfig (default: KUBECONFIG, as for kubectl)."
    ),
)


def where(function: F) -> F:
    """Add the flags that say which cluster; the command gets them as `target`."""

    @click.pass_context
    def wrapped(ctx: click.Context, /, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        base = ctx.find_object(Target) or Target()
        given = {name: kwargs.pop(name) for name in ("namespace", "context", "kubeconfig")}
        kept = {name: value for name, value in given.items() if value is not None}
        return ctx.invoke(function, *args, target=dataclasses.replace(base, **kept), **kwargs)

    wrapped.__name__ = function.__name__
    wrapped.__doc__ = function.__doc__
    # Flags that stand below this decorator belong to the same command.
    wrapped.__click_params__ = list(getattr(function, "__click_params__", ()))  # type: ignore[attr-defined]
    for flag in reversed(_FLAGS):
        wrapped = flag(wrapped)
    return wrapped  # type: ignore[return-value]


def on_group(function: F) -> F:
    """Add the same flags to the group, for `fairlead -n team status fraud`."""
    for flag in reversed(_FLAGS):
        function = flag(function)
    return function


def formatted(function: F) -> F:
    """Add `-o`; the command gets it as `form`."""
    return click.option(
        "-o", "--output", "form", type=click.Choice(output.FORMATS), default="text",
        show_default=True, help="Form of the answer.",
    )(function)  # fmt: skip


def complete_models(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return names of ModelDeployments for the shell; none where the cluster does not answer."""
    from fairlead_cli.kinds import MODEL_DEPLOYMENT

    return _names(ctx, incomplete, MODEL_DEPLOYMENT.plural)


def complete_experiments(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return names of Experiments for the shell; none where the cluster does not answer."""
    from fairlead_cli.kinds import EXPERIMENT

    return _names(ctx, incomplete, EXPERIMENT.plural)


def _names(ctx: click.Context, incomplete: str, plural: str) -> list[str]:
    from fairlead_cli import kinds, reading
    from fairlead_cli.errors import CLIError

    kind = next(k for k in (kinds.MODEL_DEPLOYMENT, kinds.EXPERIMENT) if k.plural == plural)
    given: dict[str, Any] = {}
    for each in (ctx.parent, ctx):
        params = each.params if each else {}
        given |= {key: params[key] for key in ("namespace", "context", "kubeconfig")
                  if params.get(key)}  # fmt: skip
    try:
        cluster = Target(**given).connect()
        found = cluster.list(kind, cluster.namespace)
    except CLIError:
        return []
    return [name for name in map(reading.name, found) if name.startswith(incomplete)]


def model_name(function: F) -> F:
    """Add the argument NAME of a ModelDeployment."""
    return click.argument("name", metavar="NAME", shell_complete=complete_models)(function)


def experiment_name(function: F) -> F:
    """Add the argument NAME of an Experiment."""
    return click.argument("name", metavar="NAME", shell_complete=complete_experiments)(function)
