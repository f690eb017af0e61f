"""`python -m cluster`: build the parts, bring a cluster up, take it down, clean up."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
from collections.abc import Sequence

from cluster import build, imagetool, kind, kindimage, node, provider
from cluster.paths import ROOT, ClusterError, cache_dir, log


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m cluster",
        description="A real Kubernetes cluster: of KUBECONFIG, of kind, or a node on this machine.",
        epilog="Builds are kept in FAIRLEAD_CACHE (default: ~/.cache/fairlead). "
        "FAIRLEAD_CLUSTER=node takes the node although a container engine answers.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    building = commands.add_parser("build", help="build components into the cache")
    building.add_argument(
        "component", nargs="*", help=f"which (default: {' '.join(build.DEFAULT)})"
    )
    commands.add_parser("up", help="bring the cluster up; print how to use it")
    commands.add_parser("down", help="take down the cluster that `up` made")
    commands.add_parser(
        "env", help='print what puts the cluster and its tools into a shell: eval "$(... env)"'
    )
    commands.add_parser("status", help="say what runs; exit 1 where nothing does")
    cleaning = commands.add_parser("clean", help="undo everything that `up` changed on the machine")
    cleaning.add_argument("--cache", action="store_true", help="remove all builds as well")
    commands.add_parser("kind-image", help="make a node image for kind; print its name")
    kubectl = commands.add_parser("kubectl", help="run kubectl on the cluster")
    kubectl.add_argument("rest", nargs=argparse.REMAINDER, help="its arguments")
    args = parser.parse_args(argv)
    try:
        return _run(args)
    except ClusterError as error:
        sys.stderr.write(f"cluster: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("cluster: interrupted; run the same command again to go on\n")
        return 130


def _run(args: argparse.Namespace) -> int:
    if args.command == "build":
        build.build_all(args.component or build.DEFAULT)
        return 0
    if args.command == "kind-image":
        engine = kind.engine()
        if engine is None:
            raise ClusterError("no container engine answers: install Docker or Podman")
        print(kindimage.ensure(imagetool.Tool(engine)))
        return 0
    if args.command == "clean":
        _clean(with_cache=args.cache)
        return 0
    chosen = provider.choose()
    if args.command == "up":
        chosen.up()
        print(f"export KUBECONFIG={chosen.kubeconfig}")
        print(f"alias kubectl={build.program('kubectl')}")
    elif args.command == "env":
        print(_environment(chosen))
    elif args.command == "down":
        chosen.down()
    elif args.command == "kubectl":
        program = str(build.program("kubectl"))
        rest = args.rest[1:] if args.rest[:1] == ["--"] else args.rest
        os.execv(program, [program, "--kubeconfig", str(chosen.kubeconfig), *rest])
    else:
        running = chosen.running()
        print(f"{type(chosen).__name__.lower()}: {'running' if running else 'not running'}")
        return 0 if running else 1
    return 0


def _environment(chosen: provider.Provider) -> str:
    """Return shell commands for KUBECONFIG, and kubectl, helm and the plugin on the PATH.

    Raises:
        ClusterError: No cluster runs.
    """
    if not chosen.running():
        raise ClusterError("no cluster runs: `make cluster` or `make demo` brings one up")
    tools = [build.program("kubectl").parent, build.program("helm").parent, ROOT / ".venv" / "bin"]
    path = ":".join(dict.fromkeys(shlex.quote(str(tool)) for tool in tools))
    kubeconfig = shlex.quote(str(chosen.kubeconfig))
    return f'export KUBECONFIG={kubeconfig}\nexport PATH={path}:"$PATH"'


def _clean(*, with_cache: bool) -> None:
    """Undo on this machine whatever is ours; nothing that is not ours is stopped or removed."""
    if node.obstacle() is None:
        node.Node().down()
    try:
        own = provider.choose(own_only=True)
    except ClusterError:
        own = None
    if own is not None and not isinstance(own, node.Node) and own.kubeconfig.exists():
        own.down()
    shutil.rmtree(cache_dir() / "state", ignore_errors=True)
    shutil.rmtree(imagetool.BUILDAH_RUN, ignore_errors=True)
    if with_cache:
        shutil.rmtree(cache_dir(), ignore_errors=True)
        log(f"removed {cache_dir()}")


if __name__ == "__main__":
    sys.exit(main())
