"""`doctor`: whether the installation is well, and how to mend what is not."""

from __future__ import annotations

import click
from rich.text import Text

from fairlead_cli import output
from fairlead_cli.commands import options
from fairlead_cli.doctor import checks
from fairlead_cli.doctor.checks import Finding, Level

_TONES = {Level.OK: "good", Level.WARNING: "busy", Level.PROBLEM: "bad", Level.UNKNOWN: "dim"}
_WIDTH = max(len(level.value) for level in Level)


@click.command("doctor")
@options.formatted
@options.where
def doctor(target: options.Target, *, form: str) -> None:
    """Examine the installation, and say how to mend it.

    Looks at Kubernetes, the CRDs, the operator with its Lease, rights and images, the metrics API,
    and every model (with --namespace, those of one namespace). The exit status is 1 where there is
    a problem; warnings do not count.
    """
    from fairlead_cli.doctor import gather

    found = checks.examine(gather.gather(target.connect(), target.namespace))
    if form == "text":
        output.show(*map(line, found))
    else:
        output.emit([each.document() for each in found], form)
    if any(each.level is Level.PROBLEM for each in found):
        raise click.exceptions.Exit(1)


def line(finding: Finding) -> Text:
    """Return a finding in a line, and its remedy in another."""
    remedy = f"\n{' ' * _WIDTH}  -> {finding.remedy}" if finding.remedy else ""
    text = f"  {finding.about}: {finding.message}{remedy}"
    return output.labelled(finding.level.value.ljust(_WIDTH), _TONES[finding.level], text)
