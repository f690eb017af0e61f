"""Logs on standard error: text for people, or one JSON object a line for programs."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from datetime import UTC, datetime
from types import TracebackType

from fairlead_runtime.cli.options import Options, one_of

LEVELS = ("debug", "info", "warning", "error", "critical")
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# What a record has of its own; everything else came with `extra`.
_OWN = frozenset(
    (*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message")
)


def level(text: str) -> str:
    """Parse the name of a level, in any case."""
    name = text.strip().lower()
    if name == "warn":
        name = "warning"
    if name not in LEVELS:
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(LEVELS)}")
    return name


def add_flags(options: Options, *, otherwise: str = "info") -> None:
    """Add the flags of logs, last in a command's help.

    Args:
        options: Where to.
        otherwise: The level where none is given.
    """
    options.add(
        "--log-level",
        ", ".join(LEVELS[:-1]) + " or critical",
        kind=level,
        default=otherwise,
        also=("LOG_LEVEL",),
    )
    options.add(
        "--log-format",
        "text, or json: an object a line with time, level, logger, message and fields",
        kind=one_of("text", "json"),
        default="text",
        also=("LOG_FORMAT",),
    )


def set_up(args: argparse.Namespace) -> None:
    """Log as the flags say, from now on."""
    handler = logging.StreamHandler(sys.stderr)
    fields = {
        field: getattr(args, flag)
        for field, flag in (("model", "model_name"), ("version", "model_version"))
        if hasattr(args, flag)
    }
    lines = args.log_format == "json"
    handler.setFormatter(JsonLines(fields) if lines else TextLines(_FORMAT))
    logging.basicConfig(level=args.log_level.upper(), handlers=[handler], force=True)
    if lines:
        logging.captureWarnings(capture=True)
        sys.excepthook = _uncaught


def json_lines() -> bool:
    """Whether logs are JSON."""
    return any(isinstance(each.formatter, JsonLines) for each in logging.getLogger().handlers)


class TextLines(logging.Formatter):
    """Lines for people; fields come behind the message as name=value."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line."""
        fields = "".join(f" {name}={value}" for name, value in extras(record).items())
        return super().formatMessage(record) + fields


class JsonLines(logging.Formatter):
    """One JSON object a line.

    Args:
        fields: What every line says.
    """

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__()
        self._fields = fields

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback is in `exception`."""
        document: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._fields,
            **extras(record),
        }
        if record.exc_info and record.exc_info[0] is not None:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, default=str)


def extras(record: logging.LogRecord) -> dict[str, object]:
    """Return the fields that came with a record, without empty ones."""
    return {
        name: value
        for name, value in vars(record).items()
        if name not in _OWN and value not in ("", None)
    }


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("fairlead_runtime").critical(
        "stopped by an error that nobody expected", exc_info=(kind, error, trace)
    )
