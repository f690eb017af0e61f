"""What looks at answers aside, and what the inner port shows of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from urllib.parse import urlsplit

from fairlead_runtime.contract import names
from fairlead_runtime.dataplane.compared import ComparedAnswers
from fairlead_runtime.dataplane.model import ServedModel
from fairlead_runtime.http.internal import Internal


class WatchError(Exception):
    """What was asked for cannot be had; the message says what and why."""


def watch(args: argparse.Namespace, model: ServedModel, path: Path, internal: Internal) -> None:
    """Give the model its sinks, and the inner port its pages, before anything is served.

    Args:
        args: The flags of `serve`.
        model: The model, which is not loaded yet: its signature is not known here. A sink that
            needs it asks for it with its first batch, when the model has answered.
        path: The model's file; what belongs to it lies beside it.
        internal: Where pages are added.

    Raises:
        WatchError: A sink cannot be had.
    """
    _watch_drift(args, model, path, internal)
    if args.check_outputs == "on":
        model.check_outputs()
    if args.prediction_log != "off":
        _log_predictions(args, model)
    if args.access_log == "on":
        model.log_access()
    if args.otlp_endpoint:
        _trace(args, model)
    if args.metrics_port:
        answers = ComparedAnswers()
        model.watch(answers, marked=True)
        internal.add(names.COMPARED_PATH, answers.page)


def _watch_drift(
    args: argparse.Namespace, model: ServedModel, path: Path, internal: Internal
) -> None:
    """Count drift where there is a profile; a profile that is no good stops nothing."""
    from fairlead_runtime.contract.drift_names import PATH, PROBLEM_FILE, PROFILE_FILE

    beside = path.parent / PROFILE_FILE
    there = beside.exists() or (path.parent / PROBLEM_FILE).exists()
    if args.profile == "off" or (args.profile == "auto" and not there):
        internal.add(PATH, _no_profile)
        return
    from fairlead_runtime.drift.watch import DriftWatch

    profile = beside if args.profile == "auto" else Path(args.profile)
    drift = DriftWatch(profile, model, version=model.version)
    internal.add(PATH, drift.page)
    model.metrics.registry.register(drift)
    model.watch(drift, sample=lambda: drift.sated)


def _no_profile() -> tuple[str, bytes]:
    from fairlead_runtime.drift.watch import nothing, to_json

    return to_json(nothing("NoProfile", "there is no profile beside the model"))


def _trace(args: argparse.Namespace, model: ServedModel) -> None:
    endpoint: str = args.otlp_endpoint
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise WatchError(f"--otlp-endpoint: {endpoint!r} is no http:// or https:// URL")
    try:
        from fairlead_runtime.dataplane.tracing import Tracing
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        message = '--otlp-endpoint needs OpenTelemetry: pip install "fairlead[tracing]"'
        raise WatchError(message) from None
    model.tracing = Tracing(
        endpoint=endpoint,
        share=args.trace_share,
        model_name=model.name,
        model_version=model.version,
    )


def _log_predictions(args: argparse.Namespace, model: ServedModel) -> None:
    from fairlead_runtime.dataplane.events import Redaction, Style
    from fairlead_runtime.dataplane.eventwriters import EventWriter, HttpBatches, Lines
    from fairlead_runtime.dataplane.predictionlog import PredictionLog

    where: str = args.prediction_log
    try:
        redaction = Redaction.parse(args.prediction_log_redact or ())
    except ValueError as error:
        raise WatchError(f"--prediction-log-redact: {error}") from None
    try:
        target = (
            HttpBatches(where, token_file=args.prediction_log_token_file)
            if "://" in where
            else Lines(where)
        )
    except ValueError as error:
        raise WatchError(f"--prediction-log: {error}") from None
    except OSError as error:
        message = f"--prediction-log: cannot write to {where}: {error.strerror}"
        raise WatchError(message) from error
    style = Style(
        model_name=model.name,
        model_version=model.version,
        inputs=args.prediction_log_inputs == "on",
        redaction=redaction,
    )
    writer = EventWriter(target, watcher=model.metrics, counter=model.metrics)
    share = args.prediction_log_share
    log = PredictionLog(
        writer, watcher=model.metrics, signature=model.signature, style=style, share=share
    )
    model.watch_at_once(log)
