"""The dashboards, one module each."""

from monitoring.dashboards import drift, experiments, model, operator, router
from monitoring.panels import Dashboard

ALL: tuple[Dashboard, ...] = (
    operator.DASHBOARD,
    model.DASHBOARD,
    router.DASHBOARD,
    experiments.DASHBOARD,
    drift.DASHBOARD,
)
