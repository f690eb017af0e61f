"""Pieces of PromQL that dashboards and rules share, and what finds the series in a query."""

from __future__ import annotations

from fairlead_runtime.contract import names

MODEL = "namespace, model_deployment"
"""Labels that name a ModelDeployment, on the operator's series and on those of scraped pods."""
FAULTS = "|".join(names.SERVER_FAULTS)
"""Codes of errors that blame the server: the only ones that use up an error budget."""


def of_resource(metric: str, by: str = MODEL, **labels: str) -> str:
    """Return one series for each resource: scrapes add labels, and an operator may be restarted."""
    wanted = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"max by ({by}) ({metric}{{{wanted}}})" if wanted else f"max by ({by}) ({metric})"


def condition(kind: str, by: str = MODEL, what: str = "model_deployment") -> str:
    """Return a condition of each resource: 1 where it is True, 0 where it is False."""
    return of_resource(f"fairlead_{what}_condition", by, condition=kind)


def rate(metric: str, window: str, by: str, selector: str = "") -> str:
    """Return a counter's growth a second, summed."""
    return f"sum by ({by}) (rate({metric}{selector}[{window}]))"


def increase(metric: str, window: str, by: str, selector: str = "") -> str:
    """Return a counter's growth in a window, summed."""
    return f"sum by ({by}) (increase({metric}{selector}[{window}]))"


def quantile(share: float, metric: str, window: str, by: str, selector: str = "") -> str:
    """Return a quantile of a histogram, over all that have the same labels."""
    return f"histogram_quantile({share}, {rate(metric + '_bucket', window, by + ', le', selector)})"
