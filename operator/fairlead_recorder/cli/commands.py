"""The commands that look after the database."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from fairlead_recorder.store import database, experiments, schema
from fairlead_recorder.store import recount as counting
from fairlead_recorder.store.database import Session
from fairlead_recorder.store.errors import StoreError
from fairlead_recorder.store.experiments import Experiment


@contextlib.contextmanager
def reading(url: str) -> Iterator[Session]:
    """Open a database and see one moment of it."""
    session = database.connect(url)
    try:
        session.begin(write=False)
        yield session
        session.rollback()
    finally:
        session.close()


def chosen(session: Session, name: str) -> Experiment:
    """Return the experiment of `<namespace>/<name>`.

    Raises:
        ValueError: It is not written like that.
        UnknownExperimentError: There is none.
    """
    namespace, slash, rest = name.partition("/")
    if not slash or not namespace or not rest:
        raise ValueError("say the experiment as NAMESPACE/NAME")
    return experiments.of_name(session, namespace, rest)


def migrate(arguments: argparse.Namespace) -> int:
    """Bring the tables up to date."""
    try:
        session = database.connect(arguments.database)
        try:
            print(f"the tables have version {schema.migrate(session)}")
        finally:
            session.close()
    except StoreError as error:
        print(f"fairlead-recorder: {error}")
        return 2
    return 0


def recount(arguments: argparse.Namespace) -> int:
    """Count the events of one experiment, or of all, again; 1 where the sums differ."""
    status = 0
    try:
        with reading(arguments.database) as session:
            found = (
                [chosen(session, arguments.experiment)]
                if arguments.experiment
                else experiments.listed(session)
            )
            for one in found:
                done = counting.recount(session, one)
                name = f"{one.definition.namespace}/{one.definition.name} ({one.definition.uid})"
                verdict = "equal" if not done.differences else "DIFFERENT"
                print(f"{name}: {done.units} units, {done.outcomes} outcomes: {verdict}")
                for difference in done.differences:
                    print(f"  {difference}")
                    status = 1
    except StoreError as error:
        print(f"fairlead-recorder: {error}")
        return 2
    return status


def report(arguments: argparse.Namespace) -> int:
    """Write the page of an experiment, as it is now, to a file."""
    from fairlead_recorder.page import html
    from fairlead_recorder.page.gather import gather

    try:
        with reading(arguments.database) as session:
            found = chosen(session, arguments.experiment)
            text = html.page(gather(session, found, time.time_ns() // 1_000))
    except StoreError as error:
        print(f"fairlead-recorder: {error}", file=sys.stderr)
        return 2
    if arguments.output == "-":
        print(text)
    else:
        Path(arguments.output).write_text(text, encoding="utf-8")
    return 0
