"""Many ModelDeployments at once: what the operator costs until all are Ready, and at rest.

`make bench-operator` runs it on a control plane of its own, with fake nodes. Linux only: memory
and CPU time are read from /proc. The figures are explained in bench/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import audit, fakenodes, fleet, operatorprocess, usage  # noqa: E402 - needs the path above
from bench.figures import Figures  # noqa: E402
from cluster import controlplane  # noqa: E402
from cluster.controlplane import ControlPlane  # noqa: E402
from cluster.paths import ROOT, ClusterError, log  # noqa: E402
from fairlead_operator.kube.kinds import BY_KIND, CHILDREN, DEPLOYMENT, MODEL_DEPLOYMENT  # noqa: E402

_NAMESPACE = "bench"
_OURS = "app.kubernetes.io/managed-by=fairlead"
_SETTLE_S = 5.0
_RESOURCES = MODEL_DEPLOYMENT.path(_NAMESPACE)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit status."""
    args = _arguments(argv)
    signal.signal(signal.SIGTERM, _terminated)
    directory = Path(tempfile.mkdtemp(prefix="fairlead-bench-"))
    figures = Figures(count=args.count)
    try:
        with _plane(directory / "with-operator", args.nodes) as plane:
            children = _with_operator(plane, figures, args)
        if not args.no_floor:
            with _plane(directory / "floor", args.nodes) as plane:
                everything = usage.by_program(plane.directory)
                figures.floor_s = asyncio.run(_floor(plane, children, args))
                figures.floor_cpu_by_program_s = usage.by_program(plane.directory, everything)
    except ClusterError as error:
        print(f"bench-operator: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench-operator: stopped", file=sys.stderr)
        return 130
    finally:
        if args.keep:
            log(f"logs are kept in {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    print("\n".join(figures.lines()))
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="operator_scale.py", description=__doc__)
    add = parser.add_argument
    add("--count", type=int, default=300, help="ModelDeployments (default: 300)")
    add("--nodes", type=int, default=3, help="fake nodes (default: 3)")
    add("--resync-seconds", type=float, default=15.0, help="the operator's resync (default: 15)")
    add("--rest-seconds", type=float, default=60.0, help="length of the rest (default: 60)")
    add("--timeout", type=float, default=300.0, help="seconds to become Ready (default: 300)")
    add("--no-floor", action="store_true", help="leave out the run without the operator")
    add("--keep", action="store_true", help="keep the logs, and say where they are")
    args = parser.parse_args(argv)
    if args.count < 1 or args.nodes < 1:
        parser.error("--count and --nodes must be at least 1")
    return args


def _terminated(*_: object) -> NoReturn:
    """End as by Ctrl-C, so that everything that was started here is stopped."""
    raise KeyboardInterrupt


@contextlib.contextmanager
def _plane(directory: Path, nodes: int) -> Iterator[ControlPlane]:
    """Start a control plane with controllers, scheduler, fake nodes, CRDs and a namespace."""
    log("starting a control plane with fake nodes")
    with controlplane.start(directory, controllers=True, scheduler=True) as plane:
        plane.kubectl("apply", "-f", str(ROOT / "crds"))
        plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        plane.kubectl("create", "namespace", _NAMESPACE)
        account = ("serviceaccount/default", f"--namespace={_NAMESPACE}")
        plane.kubectl("wait", "--for=create", *account, "--timeout=30s")
        with fakenodes.running(plane, nodes):
            yield plane


def _with_operator(
    plane: ControlPlane, figures: Figures, args: argparse.Namespace
) -> list[dict[str, Any]]:
    """Measure convergence and rest; return the children, fit to be made once more."""
    with operatorprocess.running(plane, resync_s=args.resync_seconds) as operator:
        passes, cpu_s = operator.passes(), operator.cpu_s()
        everything = usage.by_program(plane.directory)
        log(f"creating {args.count} ModelDeployments")
        started = time.time()
        asyncio.run(_converge(plane, operator, args))
        converged = time.time()
        figures.cpu_s = operator.cpu_s() - cpu_s
        figures.cpu_by_program_s = usage.by_program(plane.directory, everything)
        figures.passes = {
            outcome: number - passes.get(outcome, 0.0)
            for outcome, number in operator.passes().items()
        }
        log(f"all are Ready after {converged - started:.1f} s")
        children = asyncio.run(_children(plane))
        time.sleep(_SETTLE_S)
        log(f"at rest for {args.rest_seconds:.0f} s, with a resync every {args.resync_seconds:g} s")
        rest_from, cpu_s = time.time(), operator.cpu_s()
        time.sleep(args.rest_seconds)
        rest_to = time.time()
        operator.check()
        figures.cpu_at_rest_s = operator.cpu_s() - cpu_s
        figures.peak_rss_mib = operator.peak_rss_mib()
    found = audit.requests_of(operatorprocess.USER, plane.audit_log)
    figures.converge_s = converged - started
    figures.converging = audit.between(found, started, converged)
    figures.settling = audit.between(found, converged, rest_from)
    figures.rest_s = rest_to - rest_from
    figures.resting = audit.between(found, rest_from, rest_to)
    figures.children = len(children)
    return children


async def _converge(
    plane: ControlPlane, operator: operatorprocess.OperatorProcess, args: argparse.Namespace
) -> None:
    bodies = [_model_deployment(f"model-{number}") for number in range(args.count)]
    async with fleet.client(plane) as api:
        creating = asyncio.create_task(
            fleet.at_once([functools.partial(api.create, _RESOURCES, body) for body in bodies])
        )
        missing = await fleet.until_ready(
            api,
            _RESOURCES,
            args.count,
            _resource_is_ready,
            what="ModelDeployments",
            deadline=time.monotonic() + args.timeout,
            check=operator.check,
        )
        if missing:
            creating.cancel()
            raise _not_converged(args, missing)
        await creating


async def _children(plane: ControlPlane) -> list[dict[str, Any]]:
    """Return what the operator has made, each object as somebody would write it by hand."""
    async with fleet.client(plane) as api:
        found: list[dict[str, Any]] = []
        for kind in CHILDREN:
            listed = await api.list(kind.path(_NAMESPACE), labelSelector=_OURS)
            found += [
                _as_written({**item, "apiVersion": kind.api_version, "kind": kind.kind})
                for item in listed["items"]
            ]
    return found


async def _floor(
    plane: ControlPlane, children: list[dict[str, Any]], args: argparse.Namespace
) -> float:
    """Return how long the same children take to be ready without the operator."""
    sets: dict[str, list[dict[str, Any]]] = {}
    for child in children:
        sets.setdefault(child["metadata"]["labels"]["app.kubernetes.io/instance"], []).append(child)
    deployments = DEPLOYMENT.path(_NAMESPACE)
    log(f"the floor: making {len(sets)} sets of the same children without the operator")
    async with fleet.client(plane) as api:

        async def make(objects: list[dict[str, Any]]) -> None:
            for each in objects:
                await api.create(BY_KIND[each["kind"]].path(_NAMESPACE), each)

        started = time.monotonic()
        creating = asyncio.create_task(
            fleet.at_once([functools.partial(make, objects) for objects in sets.values()])
        )
        missing = await fleet.until_ready(
            api,
            deployments,
            len(sets),
            _deployment_is_ready,
            what="Deployments",
            deadline=started + args.timeout,
        )
        if missing:
            creating.cancel()
            raise _not_converged(args, missing)
        await creating
        return time.monotonic() - started


def _model_deployment(name: str) -> dict[str, Any]:
    return {
        "apiVersion": MODEL_DEPLOYMENT.api_version,
        "kind": MODEL_DEPLOYMENT.kind,
        "metadata": {"name": name, "namespace": _NAMESPACE},
        "spec": {
            "model": {"uri": "file:///models/model.onnx"},
            # The fake nodes run no validation.
            "validation": {"enabled": False},
            "rollout": {"steps": []},
        },
    }


def _resource_is_ready(resource: Mapping[str, Any]) -> bool:
    status = resource.get("status") or {}
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in status.get("conditions") or ()
    )


def _deployment_is_ready(deployment: Mapping[str, Any]) -> bool:
    return int((deployment.get("status") or {}).get("readyReplicas") or 0) >= 1


def _as_written(live: Mapping[str, Any]) -> dict[str, Any]:
    meta = live["metadata"]
    body = {key: live[key] for key in ("apiVersion", "kind", "data", "revision") if key in live}
    # The owner is left out: it does not exist there, so the children would be collected.
    body["metadata"] = {key: meta[key] for key in ("name", "namespace", "labels")}
    if "spec" in live:
        body["spec"] = {
            key: value
            for key, value in live["spec"].items()
            if key not in ("clusterIP", "clusterIPs") or live["spec"].get("clusterIP") == "None"
        }
    return body


def _not_converged(args: argparse.Namespace, missing: list[dict[str, Any]]) -> ClusterError:
    lines = [f"{len(missing)} of {args.count} not ready after {args.timeout:.0f} s, for example:"]
    for obj in missing[:5]:
        status = obj.get("status") or {}
        why = next(
            (c.get("message") for c in status.get("conditions") or () if c["type"] == "Ready"),
            "it has no status",
        )
        lines.append(f"  {obj['metadata']['name']}: {why}")
    lines.append("see the logs with --keep, or give it longer with --timeout")
    return ClusterError("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
