"""Configuration files and flags of a single node's components."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.network import Addresses

NODE = "fairlead"
NAMESPACE = "k8s.io"
PAUSE_IMAGE = "localhost/fairlead/pause:1"
API_PORT = 6443
_CNI_BINARIES = "/usr/lib/cni"


@dataclass(frozen=True)
class Layout:
    """Where a node keeps its things.

    Attributes:
        state: Folder that outlives a restart of the machine.
        run: Folder under `/run`, because paths of sockets must be short.
        cgroup: Cgroup under which all pods are.
        bin: Folder of the Kubernetes programs.
        addresses: The node's networks.
    """

    state: Path
    run: Path
    cgroup: str
    bin: Path
    addresses: Addresses

    @property
    def socket(self) -> str:
        """Containerd's socket."""
        return str(self.run / "containerd.sock")

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state / "kubeconfig"

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://{self.addresses.node}:{API_PORT}"


def containerd(layout: Layout) -> str:
    """Return containerd's configuration: an instance of its own, beside any other."""
    return f"""\
version = 2
root = "{layout.state}/containerd"
state = "{layout.run}/containerd"
[grpc]
  address = "{layout.socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{layout.state}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{_CNI_BINARIES}"
    conf_dir = "{layout.state}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


def cni(layout: Layout) -> str:
    """Return the pods' network: a pair of interfaces for each, routed.

    Routed and not bridged, so that what a Service's pods answer passes the machine's NAT also
    where bridges do not.
    """
    plugin = {
        "type": "ptp",
        "mtu": 1500,
        "ipMasq": False,
        "ipam": {
            "type": "host-local",
            "dataDir": str(layout.state / "ipam"),
            "ranges": [[{"subnet": f"{layout.addresses.prefix}.0.0/24"}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return json.dumps({"cniVersion": "1.0.0", "name": cni_name(layout), "plugins": [plugin]})


def cni_name(layout: Layout) -> str:
    """Return the name of the pods' network; files that CNI keeps elsewhere begin with it."""
    return f"fairlead-{layout.state.name}"


def kubelet(layout: Layout) -> str:
    """Return the kubelet's configuration."""
    state = layout.state
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": layout.addresses.node,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(state / "pki" / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": layout.cgroup,
            "clusterDNS": [layout.addresses.dns],
            "clusterDomain": "cluster.local",
            "containerRuntimeEndpoint": f"unix://{layout.socket}",
            "evictionHard": {
                "memory.available": "50Mi",
                "nodefs.available": "0%",
                "nodefs.inodesFree": "0%",
                "imagefs.available": "0%",
            },
            "failCgroupV1": False,
            "failSwapOn": False,
            "healthzPort": 0,
            "imageGCHighThresholdPercent": 100,
            "localStorageCapacityIsolation": False,
            "makeIPTablesUtilChains": False,
            "maxPods": 110,
            "nodeStatusUpdateFrequency": "5s",
            "podLogsDir": str(state / "pod-logs"),
            "readOnlyPort": 0,
            "registerNode": True,
            "resolvConf": str(state / "resolv.conf"),
            "volumePluginDir": str(state / "volume-plugins"),
        }
    )


def kube_proxy(layout: Layout) -> str:
    """Return kube-proxy's configuration."""
    return json.dumps(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "bindAddress": layout.addresses.node,
            "clientConnection": {"kubeconfig": str(layout.state / "kube-proxy.kubeconfig")},
            "clusterCIDR": layout.addresses.pods,
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
            "healthzBindAddress": f"{layout.addresses.node}:10256",
            "metricsBindAddress": f"{layout.addresses.node}:10249",
            "hostnameOverride": NODE,
            "mode": "nftables",
            "nftables": {"minSyncPeriod": "100ms"},
        }
    )


def commands(layout: Layout, etcd_client: int, etcd_peer: int) -> dict[str, list[str]]:
    """Return the command lines of the node's components, in the order of their start."""
    state, pki, programs = layout.state, layout.state / "pki", layout.bin
    client, peer = f"http://127.0.0.1:{etcd_client}", f"http://127.0.0.1:{etcd_peer}"

    def config(name: str) -> str:
        return str(state / f"{name}.kubeconfig")

    flags: dict[str, dict[str, Any]] = {
        "etcd": {
            "data-dir": state / "etcd",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
            "unsafe-no-fsync": "true",
            "log-level": "error",
        },
        "kube-apiserver": {
            "etcd-servers": client,
            "secure-port": API_PORT,
            "bind-address": layout.addresses.node,
            "advertise-address": layout.addresses.node,
            "tls-cert-file": pki / "apiserver.crt",
            "tls-private-key-file": pki / "apiserver.key",
            "token-auth-file": state / "tokens.csv",
            "authorization-mode": "Node,RBAC",
            "anonymous-auth": "false",
            "enable-admission-plugins": "NodeRestriction",
            "service-cluster-ip-range": layout.addresses.service_cidr,
            "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
            "service-account-key-file": pki / "sa.key",
            "service-account-signing-key-file": pki / "sa.key",
            "kubelet-client-certificate": pki / "kubelet-client.crt",
            "kubelet-client-key": pki / "kubelet-client.key",
            "kubelet-preferred-address-types": "InternalIP",
            "requestheader-client-ca-file": pki / "ca.crt",
            "requestheader-allowed-names": "front-proxy-client",
            "requestheader-extra-headers-prefix": "X-Remote-Extra-",
            "requestheader-group-headers": "X-Remote-Group",
            "requestheader-username-headers": "X-Remote-User",
            "proxy-client-cert-file": pki / "front-proxy.crt",
            "proxy-client-key-file": pki / "front-proxy.key",
            "enable-aggregator-routing": "true",
            "allow-privileged": "true",
        },
        "kube-controller-manager": {
            "kubeconfig": config("kube-controller-manager"),
            "authentication-kubeconfig": config("kube-controller-manager"),
            "authorization-kubeconfig": config("kube-controller-manager"),
            "leader-elect": "false",
            "secure-port": 0,
            "service-account-private-key-file": pki / "sa.key",
            "root-ca-file": pki / "ca.crt",
            "use-service-account-credentials": "true",
            "allocate-node-cidrs": "true",
            "cluster-cidr": layout.addresses.pods,
            "horizontal-pod-autoscaler-sync-period": "5s",
            "node-monitor-grace-period": "30s",
        },
        "kube-scheduler": {
            "kubeconfig": config("kube-scheduler"),
            "leader-elect": "false",
            "secure-port": 0,
        },
        "kubelet": {
            "config": state / "kubelet.json",
            "kubeconfig": config("kubelet"),
            "root-dir": state / "kubelet",
            "cert-dir": state / "kubelet" / "pki",
            "hostname-override": NODE,
            "node-ip": layout.addresses.node,
        },
        "kube-proxy": {"config": state / "kube-proxy.json"},
    }
    return {
        name: [str(programs / name), *(f"--{key}={value}" for key, value in given.items())]
        for name, given in flags.items()
    }
