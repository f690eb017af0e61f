"""A single-node Kubernetes cluster on this machine, made of what `cluster build` has built."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from cluster import addons, build, debian, leftovers, network, nodeconfig, oci, pki
from cluster.controlplane import free_ports, write_kubeconfig
from cluster.daemons import Daemons
from cluster.kubectl import kubectl
from cluster.paths import ClusterError, cache_dir, locked, log, state_dir

COMPONENTS = ("pause", "kubernetes", "coredns", "metrics-server")
_READY_S = 120.0
_USERS = {
    "kube-controller-manager": ("system:kube-controller-manager", ""),
    "kube-scheduler": ("system:kube-scheduler", ""),
    "kube-proxy": ("system:kube-proxy", ""),
    "kubelet": (f"system:node:{nodeconfig.NODE}", "system:nodes"),
}
_OWN_IMAGES = {
    "pause": nodeconfig.PAUSE_IMAGE,
    "coredns": "localhost/fairlead/coredns:1",
    "metrics-server": "localhost/fairlead/metrics-server:1",
}


def obstacle() -> str | None:
    """Say why no node can run on this machine, or None where one can."""
    if sys.platform != "linux":
        return "a single node needs Linux"
    if os.geteuid() != 0:
        return "a single node needs root"
    return None


class Node:
    """The one node that this machine can have; its state outlives the process that made it."""

    def __init__(self) -> None:
        programs = build.folder_of(build.COMPONENTS["kubernetes"])
        self.layout = nodeconfig.Layout(
            state=state_dir("node"),
            run=Path("/run/fairlead-node"),
            cgroup="/fairlead-node",
            bin=programs,
            addresses=network.Addresses(),
        )
        self._daemons = Daemons(self.layout.state)
        self._network_record = state_dir("node-network") / "before.json"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.layout.kubeconfig

    def running(self) -> bool:
        """Whether the node runs and its API server answers."""
        names = ("containerd", *nodeconfig.commands(self.layout, 0, 0))
        return all(self._daemons.alive(name) for name in names) and self._api_ready()

    def up(self) -> None:
        """Bring the node up unless it runs already; what a crash left is cleared away first."""
        why = obstacle()
        if why is not None:
            raise ClusterError(why)
        debian.ensure(debian.PROGRAMS)
        build.build_all(COMPONENTS)
        with locked(cache_dir() / "locks" / "node", "it is changing the node"):
            if self.running():
                log("the node runs already")
                return
            self._down()
            started = time.monotonic()
            try:
                self._up()
            except BaseException:
                log(f"the node did not come up; its logs are in {self._keep_logs()}")
                self._down()
                raise
            log(f"the node is Ready after {time.monotonic() - started:.1f} s")

    def down(self) -> None:
        """Take the node down and undo everything that it changed on the machine."""
        with locked(cache_dir() / "locks" / "node", "it is changing the node"):
            self._down()

    def load_archive(self, archive: Path) -> None:
        """Import an image archive into the node."""
        self._ctr("images", "import", str(archive))

    def images(self) -> set[str]:
        """Return the names of the images that the node has."""
        return set(self._ctr("images", "list", "--quiet").split())

    def restart(self, name: str) -> None:
        """Kill one component as a crash would, and start it again."""
        command = self._commands()[name]
        self._daemons.stop(name, grace_s=0)
        self._daemons.start(name, command)

    @contextlib.contextmanager
    def away(self, name: str) -> Iterator[None]:
        """Kill one component and start it again at the end of the block."""
        command = self._commands()[name]
        self._daemons.stop(name, grace_s=0)
        try:
            yield
        finally:
            self._daemons.start(name, command)

    def log_tail(self, name: str) -> str:
        """Return the last lines of a component's log."""
        return self._daemons.tail(name)

    def _up(self) -> None:
        layout = self.layout
        layout.state.mkdir(parents=True, exist_ok=True)
        layout.run.mkdir(parents=True, exist_ok=True)
        network.up(layout.addresses, self._network_record)
        leftovers.make_cgroup(layout)
        self._configure()
        commands = self._commands()
        self._daemons.start(
            "containerd", ["containerd", "--config", str(layout.state / "containerd.toml")]
        )
        self._daemons.start("etcd", commands["etcd"])
        self._wait("etcd", self._etcd_ready)
        self._daemons.start("kube-apiserver", commands["kube-apiserver"])
        self._wait("containerd", lambda: Path(layout.socket).exists())
        for name, tag in _OWN_IMAGES.items():
            self.load_archive(own_image(name, tag))
        self._wait("kube-apiserver", self._api_ready)
        for name in ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"):
            self._daemons.start(name, commands[name])
        manifests = [
            *addons.coredns(
                _OWN_IMAGES["coredns"], layout.addresses.dns, upstreams(Path("/etc/resolv.conf"))
            ),
            *addons.metrics_server(_OWN_IMAGES["metrics-server"]),
        ]
        documents = {"apiVersion": "v1", "kind": "List", "items": manifests}
        self._kubectl("apply", "-f", "-", stdin=json.dumps(documents))
        self._wait("kubelet", self._node_ready)
        self._kubectl(
            "-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=90s"
        )

    def _configure(self) -> None:
        layout, state = self.layout, self.layout.state
        folder = state / "pki"
        addresses = layout.addresses
        pki.authority(folder)
        names = pki.serving_names((addresses.node, addresses.api, "127.0.0.1"))
        pki.certificate(folder, "apiserver", "/CN=kube-apiserver", names=names, server=True)
        pki.certificate(folder, "kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet")
        pki.certificate(folder, "front-proxy", "/CN=front-proxy-client")
        admin = secrets.token_hex(16)
        lines = [f"{admin},admin,admin,system:masters"]
        for name, (user, group) in _USERS.items():
            token = secrets.token_hex(16)
            lines.append(f"{token},{user},{user}" + (f",{group}" if group else ""))
            write_kubeconfig(
                state / f"{name}.kubeconfig",
                server=layout.server, authority=folder / "ca.crt", token=token,
            )  # fmt: skip
        tokens = state / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text("\n".join(lines) + "\n")
        write_kubeconfig(
            layout.kubeconfig, server=layout.server, authority=folder / "ca.crt", token=admin
        )
        (state / "token").touch(mode=0o600)
        (state / "token").write_text(admin)
        ports = free_ports(2)
        (state / "ports.json").write_text(json.dumps(ports))
        servers = "".join(f"nameserver {each}\n" for each in upstreams(Path("/etc/resolv.conf")))
        (state / "resolv.conf").write_text(servers or "options timeout:1\n")
        (state / "containerd.toml").write_text(nodeconfig.containerd(layout))
        (state / "kubelet.json").write_text(nodeconfig.kubelet(layout))
        (state / "kube-proxy.json").write_text(nodeconfig.kube_proxy(layout))
        (state / "cni").mkdir(exist_ok=True)
        (state / "cni" / "10-fairlead.conflist").write_text(nodeconfig.cni(layout))

    def _down(self) -> None:
        for name in ("kubelet", "kube-proxy", "kube-scheduler", "kube-controller-manager"):
            self._daemons.stop(name)
        leftovers.kill_containers(self.layout)
        for name in ("kube-apiserver", "etcd"):
            self._daemons.stop(name, grace_s=0)
        self._daemons.stop("containerd")
        leftovers.kill_components(self.layout)
        leftovers.kill_containers(self.layout)
        leftovers.unmount(self.layout)
        leftovers.remove(self.layout)
        if shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin") is not None:
            network.down(self._network_record)

    def _keep_logs(self) -> Path:
        goal = cache_dir() / "failed-node-logs"
        shutil.rmtree(goal, ignore_errors=True)
        with contextlib.suppress(OSError):
            shutil.copytree(self._daemons.logs, goal)
        return goal

    def _commands(self) -> dict[str, list[str]]:
        client, peer = json.loads((self.layout.state / "ports.json").read_text())
        return nodeconfig.commands(self.layout, client, peer)

    def _ctr(self, *args: str) -> str:
        return network.run(
            "ctr", "--address", self.layout.socket, "--namespace", nodeconfig.NAMESPACE, *args
        )

    def _kubectl(self, *args: str, stdin: str | None = None) -> str:
        return kubectl(self.kubeconfig, *args, stdin=stdin)

    def _wait(self, name: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            if not self._daemons.alive(name):
                break
            if ready():
                return
            time.sleep(0.1)
        raise ClusterError(f"{name} did not become ready:\n{self._daemons.tail(name)}")

    def _etcd_ready(self) -> bool:
        port = json.loads((self.layout.state / "ports.json").read_text())[0]
        with contextlib.suppress(OSError):
            url = f"http://127.0.0.1:{port}/health"
            with urllib.request.urlopen(url, timeout=2) as answer:
                return bool(json.load(answer).get("health") == "true")
        return False

    def _api_ready(self) -> bool:
        with contextlib.suppress(OSError, ValueError):
            token = (self.layout.state / "token").read_text()
            authority = self.layout.state / "pki" / "ca.crt"
            request = urllib.request.Request(
                f"{self.layout.server}/readyz", headers={"Authorization": f"Bearer {token}"}
            )
            context = ssl.create_default_context(cafile=str(authority))
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
            )
            with opener.open(request, timeout=2) as answer:
                return bool(answer.status == 200)
        return False

    def _node_ready(self) -> bool:
        path = '{.status.conditions[?(@.type=="Ready")].status}'
        with contextlib.suppress(ClusterError):
            return self._kubectl("get", "node", nodeconfig.NODE, "-o", f"jsonpath={path}") == "True"
        return False


def own_image(name: str, tag: str) -> Path:
    """Return the archive of an image with one of our static programs."""
    component = build.COMPONENTS[name]
    folder = build.build(name)
    archive = folder / f"{name}.tar"
    if not archive.exists():
        oci.image_archive(folder / component.programs[0], archive, tag=tag)
    return archive


def upstreams(resolv_conf: Path) -> list[str]:
    """Return the name servers that pods can reach: those of the machine that are not loopback."""
    with contextlib.suppress(OSError):
        lines = [line.split() for line in resolv_conf.read_text().splitlines()]
        servers = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
        return [server for server in servers if not server.startswith(("127.", "::1"))]
    return []
