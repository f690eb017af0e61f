"""A control plane alone (etcd, API server, and the controllers where wanted) for tests.

Fresh for each start, on free ports, several side by side; it dies with the process that made it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from cluster import build, pki
from cluster.paths import ClusterError

_READY_S = 60.0
_AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  nonResourceURLs: ["/healthz*", "/livez*", "/readyz*", "/api*", "/openapi*", "/version"]
- level: None
  userGroups: ["system:masters"]
  users: ["system:apiserver"]
- level: Metadata
"""


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody listens on now, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def write_kubeconfig(path: Path, *, server: str, authority: Path, token: str) -> None:
    """Write a kubeconfig (JSON, which is YAML) with a bearer token."""
    import base64

    data = base64.b64encode(authority.read_bytes()).decode()
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fairlead",
        "clusters": [
            {
                "name": "fairlead",
                "cluster": {"server": server, "certificate-authority-data": data},
            }
        ],
        "users": [{"name": "fairlead", "user": {"token": token}}],
        "contexts": [{"name": "fairlead", "context": {"cluster": "fairlead", "user": "fairlead"}}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=1))


class ControlPlane:
    """A running control plane.

    Attributes:
        directory: Everything that it writes.
        kubeconfig: A kubeconfig of an administrator.
        server: URL of the API server.
        token: The administrator's bearer token.
        audit_log: JSON lines, one for each request of anybody but the control plane itself.
    """

    def __init__(
        self, directory: Path, *, controllers: bool = False, scheduler: bool = False
    ) -> None:
        self.directory = directory
        self.token = secrets.token_hex(16)
        self.kubeconfig = directory / "kubeconfig"
        self.audit_log = directory / "audit.log"
        self._bin = build.build("kubernetes")
        self._controllers, self._scheduler = controllers, scheduler
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._etcd, self._peer, self._port = free_ports(3)
        self.server = f"https://127.0.0.1:{self._port}"

    def start(self) -> ControlPlane:
        """Start everything and wait until the API server is ready."""
        self.directory.mkdir(parents=True, exist_ok=True)
        users = [f"{self.token},admin,admin,system:masters"]
        pki.authority(self.directory)
        addresses = ("127.0.0.1", "10.97.0.1")
        pki.certificate(
            self.directory,
            "apiserver",
            "/CN=kube-apiserver",
            names=pki.serving_names(addresses),
            server=True,
        )
        names = ("kube-controller-manager", "kube-scheduler")
        users.extend(f"{self.token}-{name},system:{name},{name}" for name in names)
        (self.directory / "tokens.csv").write_text("\n".join(users) + "\n")
        (self.directory / "audit.yaml").write_text(_AUDIT_POLICY)
        self._start_etcd()
        self.start_apiserver()
        authority = self.directory / "ca.crt"
        write_kubeconfig(self.kubeconfig, server=self.server, authority=authority, token=self.token)
        for name, wanted in (
            ("kube-controller-manager", self._controllers),
            ("kube-scheduler", self._scheduler),
        ):
            if wanted:
                self._start_controller(name)
        return self

    def start_apiserver(self) -> None:
        """Start the API server (again) on its port and wait until it is ready."""
        self._run(
            "kube-apiserver",
            "--etcd-servers", f"http://127.0.0.1:{self._etcd}",
            "--secure-port", str(self._port),
            "--bind-address", "127.0.0.1",
            "--advertise-address", "127.0.0.1",
            "--tls-cert-file", str(self.directory / "apiserver.crt"),
            "--tls-private-key-file", str(self.directory / "apiserver.key"),
            "--token-auth-file", str(self.directory / "tokens.csv"),
            "--authorization-mode", "Node,RBAC",
            "--anonymous-auth=false",
            "--service-cluster-ip-range", "10.97.0.0/16",
            "--service-account-issuer", "https://kubernetes.default.svc",
            "--service-account-key-file", str(self.directory / "sa.key"),
            "--service-account-signing-key-file", str(self.directory / "sa.key"),
            "--audit-log-path", str(self.audit_log),
            "--audit-policy-file", str(self.directory / "audit.yaml"),
            "--allow-privileged=true",
            "--endpoint-reconciler-type", "none",
            "--watch-cache=true",
        )  # fmt: skip
        self._wait_for("kube-apiserver", self._api_ready)

    def kill_apiserver(self) -> None:
        """Kill the API server as a crash would."""
        self._stop("kube-apiserver", signal.SIGKILL)

    def restart_apiserver(self) -> None:
        """Kill the API server and start it again on the same data."""
        self.kill_apiserver()
        self.start_apiserver()

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl as the administrator and return what it prints.

        Raises:
            ClusterError: It failed; the message is kubectl's own.
        """
        done = subprocess.run(
            [str(self._bin / "kubectl"), "--kubeconfig", str(self.kubeconfig), *args],
            input=stdin, capture_output=True, text=True, check=False,
            env={**os.environ, "HOME": str(self.directory)},
        )  # fmt: skip
        if check and done.returncode != 0:
            raise ClusterError(done.stderr.strip())
        return done.stdout if check else done.stdout + done.stderr

    def stop(self) -> None:
        """Stop everything; its data stays in the directory."""
        for name in reversed(list(self._processes)):
            self._stop(name, signal.SIGKILL if name == "etcd" else signal.SIGTERM)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start_etcd(self) -> None:
        client, peer = f"http://127.0.0.1:{self._etcd}", f"http://127.0.0.1:{self._peer}"
        self._run(
            "etcd",
            "--data-dir", str(self.directory / "etcd"),
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"default={peer}",
            "--unsafe-no-fsync", "--log-level", "error",
        )  # fmt: skip
        self._wait_for("etcd", self._etcd_ready)

    def _start_controller(self, name: str) -> None:
        config = self.directory / f"{name}.kubeconfig"
        write_kubeconfig(
            config,
            server=self.server,
            authority=self.directory / "ca.crt",
            token=f"{self.token}-{name}",
        )
        args = ["--kubeconfig", str(config), "--leader-elect=false", "--secure-port=0"]
        if name == "kube-controller-manager":
            args += [
                "--authentication-kubeconfig", str(config),
                "--authorization-kubeconfig", str(config),
                "--service-account-private-key-file", str(self.directory / "sa.key"),
                "--use-service-account-credentials=true",
                "--root-ca-file", str(self.directory / "ca.crt"),
                "--concurrent-gc-syncs=4",
                "--kube-api-qps=200", "--kube-api-burst=400",
            ]  # fmt: skip
        self._run(name, *args)

    def _run(self, name: str, *args: str) -> None:
        with (self.directory / f"{name}.log").open("ab") as output:
            self._processes[name] = subprocess.Popen(
                [str(self._bin / name), *args],
                stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                preexec_fn=die_with_parent, cwd=self.directory,
            )  # fmt: skip

    def _stop(self, name: str, number: signal.Signals) -> None:
        process = self._processes.pop(name, None)
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait_for(self, name: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            if self._processes[name].poll() is not None:
                break
            if ready():
                return
            time.sleep(0.05)
        tail = (self.directory / f"{name}.log").read_text(errors="replace")[-1500:]
        raise ClusterError(f"{name} did not become ready:\n{tail}")

    def _etcd_ready(self) -> bool:
        with contextlib.suppress(OSError):
            url = f"http://127.0.0.1:{self._etcd}/health"
            with urllib.request.urlopen(url, timeout=2) as answer:
                return bool(json.load(answer).get("health") == "true")
        return False

    def _api_ready(self) -> bool:
        authority = self.directory / "ca.crt"
        with contextlib.suppress(OSError, ValueError):
            context = ssl.create_default_context(cafile=str(authority))
            request = urllib.request.Request(
                f"{self.server}/readyz", headers={"Authorization": f"Bearer {self.token}"}
            )
            with urllib.request.urlopen(request, timeout=2, context=context) as answer:
                return bool(answer.status == 200)
        return False


def start(
    directory: Path | None = None, *, controllers: bool = False, scheduler: bool = False
) -> ControlPlane:
    """Start a fresh control plane; use it as a context manager, or call `stop`."""
    where = directory or Path(tempfile.mkdtemp(prefix="fairlead-control-plane-"))
    plane = ControlPlane(where, controllers=controllers, scheduler=scheduler)
    try:
        return plane.start()
    except BaseException:
        plane.stop()
        raise


@contextlib.contextmanager
def temporary(*, controllers: bool = False, scheduler: bool = False) -> Iterator[ControlPlane]:
    """Start a control plane in a folder that is removed at the end."""
    directory = Path(tempfile.mkdtemp(prefix="fairlead-control-plane-"))
    try:
        with start(directory, controllers=controllers, scheduler=scheduler) as plane:
            yield plane
    finally:
        shutil.rmtree(directory, ignore_errors=True)
