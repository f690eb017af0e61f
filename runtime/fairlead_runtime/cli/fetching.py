"""`fetch`, and `serve` of a URI."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from fairlead_runtime.cli import console, logs, report, tools
from fairlead_runtime.cli.options import Options, Parser, one_of, positive, seconds, whole

if TYPE_CHECKING:
    from fairlead_runtime.repository.fetch import Fetched
    from fairlead_runtime.repository.transfer import Progress

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_TERMINATED = 128 + signal.SIGTERM
_EXIT_CODES = """exit status:
  0    the model is there, whole and checked
  1    the surroundings: nothing there (yet), refused, unreachable, no space; try again later
  2    the model is to blame (wrong digest, too large, not ONNX): trying again cannot help
  130  interrupted (143: by SIGTERM)
"""


def register(commands: tools.Commands) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "fetch",
        help="fetch a model into a directory",
        description=(
            "Fetch a model by its URI into DIR/model.onnx, all of it or nothing. A download that\n"
            "broke off goes on where it was, if the source can tell that the file is the same."
        ),
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    done = _fetch(args)
    if isinstance(done, int):
        return done
    report.succeeded(digest=done.digest, sizeBytes=done.size_bytes, uri=args.uri)
    sys.stderr.write(f"fetched {done.size_bytes} bytes, {done.digest}, to {done.path}\n")
    if args.output == "json":
        sys.stdout.write(console.to_json(done))
    return 0


def resolve(model: str) -> Path:
    """Return the file of a MODEL argument: a file, a folder, or a URI, which is fetched.

    What `fetch` has as flags is taken from its variables, such as `FAIRLEAD_SECRET_DIR`. The
    temporary folder goes when the process ends.

    Raises:
        SystemExit: It could not be fetched; why has been reported, the code is that of `fetch`.
    """
    from fairlead_runtime.repository.files import MODEL_FILE

    if not _URI.match(model):
        path = Path(model)
        return path / MODEL_FILE if path.is_dir() else path
    folder = Path(tempfile.mkdtemp(prefix="fairlead-model-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    parser = Parser(prog="fairlead-runtime serve")
    _arguments(parser)
    done = _fetch(parser.parse_args([model, str(folder)]))
    if isinstance(done, int):
        raise SystemExit(done)
    return done.path


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "uri",
        metavar="URI",
        help=(
            "file:///path, pvc://claim/path, configmap://name/key, http(s)://host/path, "
            "s3://bucket/key, gs://bucket/key or az://container/key"
        ),
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="where the model goes")
    options = Options(parser)
    options.add("--digest", "digest that the model must have", metavar="sha256:HEX")
    options.add("--max-size-mib", "largest model in MiB", kind=positive, default=2048)
    options.add("--source-dir", "where the claim or ConfigMap of the URI is mounted", kind=Path)
    options.add("--secret-dir", "where the Secret with credentials is mounted", kind=Path)
    options.add(
        "--profile-uri",
        "where the model's drift profile is, a file; none: profile.json beside the model, if there",
        metavar="URI",
    )
    options.add(
        "--profile-source-dir",
        "where the claim or ConfigMap of --profile-uri is mounted",
        kind=Path,
    )
    options.add(
        "--retries",
        "how often a broken download is taken up again without having advanced",
        kind=whole,
        default=4,
    )
    options.add(
        "--stall-timeout-s",
        "seconds without a byte after which a connection is given up",
        kind=seconds,
        default=30.0,
    )
    options.add(
        "--private-redirects",
        "allow or deny: whether an http(s) redirect may lead to an address that is not public "
        "(a link-local one never)",
        kind=one_of("allow", "deny"),
        default="allow",
    )
    options.add(
        "--output", "table, or json on standard output", kind=tools.output, default="table",
        metavar="FORMAT",
    )  # fmt: skip
    logs.add_flags(options)


def _fetch(args: argparse.Namespace) -> Fetched | int:
    from fairlead_runtime.repository.errors import FetchError
    from fairlead_runtime.repository.fetch import fetch
    from fairlead_runtime.repository.transfer import Patience

    try:
        with _terminable():
            done = fetch(
                args.uri,
                args.directory,
                max_size_mib=args.max_size_mib,
                pinned=args.digest or None,
                resolved=os.environ.get("FAIRLEAD_MODEL_DIGEST") or None,
                source_dir=args.source_dir,
                secret_dir=args.secret_dir,
                private_redirects=args.private_redirects == "allow",
                profile_uri=args.profile_uri or None,
                profile_source_dir=args.profile_source_dir,
                patience=Patience(retries=args.retries, stall_s=args.stall_timeout_s),
                progress=_progress(),
            )
    except FetchError as error:
        console.progress_done()
        report.failed(error.reason, str(error))
        return 2 if error.blames_model else 1
    except OSError as error:
        console.progress_done()
        report.failed("DownloadFailed", f"cannot write the model: {error}")
        return 1
    except KeyboardInterrupt:
        console.progress_done()
        return 130
    console.progress_done()
    return done


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """End at SIGTERM, with what is half-done taken away.

    The first process of a container would not even notice the signal without a handler.
    """

    def end(*_: object) -> NoReturn:
        raise SystemExit(_TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _progress() -> Progress | None:
    """Return what shows a changing line on a terminal; elsewhere the log is told."""
    if not sys.stderr.isatty():
        return None
    show, started = console.progress(wanted=False), time.monotonic()

    def tell(done: int, total: int | None) -> None:
        speed = console.size(int(done / max(time.monotonic() - started, 0.001)))
        of = f" of {console.size(total)} ({100 * done // max(total, 1)} %)" if total else ""
        show(f"{console.size(done)}{of}, {speed}/s")

    return tell
