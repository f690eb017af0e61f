"""What a single node changes in the machine's network and kernel settings, and how it is undone."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cluster.paths import ClusterError

BRIDGE = "fl0"
TABLE = "fairlead"
SYSCTLS = (
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_tcp_be_liberal",
    "net/netfilter/nf_conntrack_tcp_timeout_established",
    "net/netfilter/nf_conntrack_tcp_timeout_close_wait",
)


@dataclass(frozen=True)
class Addresses:
    """The networks of a single node; nothing of them leaves the machine.

    Attributes:
        prefix: First two numbers; pods are in `.0.0/17`, the node's own address is `.255.1`.
        services: First two numbers of the Services' network.
    """

    prefix: str = "10.98"
    services: str = "10.99"

    @property
    def node(self) -> str:
        """Address of the node and of the API server."""
        return f"{self.prefix}.255.1"

    @property
    def pods(self) -> str:
        """Network of all pods."""
        return f"{self.prefix}.0.0/17"

    @property
    def service_cidr(self) -> str:
        """Network of the Services."""
        return f"{self.services}.0.0/16"

    @property
    def dns(self) -> str:
        """Address of the cluster's DNS."""
        return f"{self.services}.0.10"

    @property
    def api(self) -> str:
        """Address of the Service `kubernetes`."""
        return f"{self.services}.0.1"


def run(*argv: str, check: bool = True, stdin: str | None = None) -> str:
    """Run a command and return what it prints.

    Raises:
        ClusterError: It failed.
    """
    path = shutil.which(argv[0], path="/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/bin")
    done = subprocess.run(
        [path or argv[0], *argv[1:]], input=stdin, capture_output=True, text=True, check=False
    )
    if check and done.returncode != 0:
        raise ClusterError(f"{' '.join(argv[:6])} failed: {done.stderr.strip()[-300:]}")
    return done.stdout


def tables() -> set[str]:
    """Return the nftables tables of the machine as `family name`."""
    listed = json.loads(run("nft", "-j", "list", "tables"))
    return {
        f"{item['table']['family']} {item['table']['name']}"
        for item in listed["nftables"]
        if "table" in item
    }


def up(addresses: Addresses, record: Path) -> None:
    """Make the node's interface, the way out for pods, and forwarding.

    Args:
        addresses: The networks.
        record: Where what was there before is remembered, so that `down` can put it back.
    """
    if not record.exists():
        foreign = tables() & {"ip kube-proxy", "ip6 kube-proxy"}
        if foreign or Path(f"/sys/class/net/{BRIDGE}").exists():
            raise ClusterError(
                "another Kubernetes node uses this machine's network "
                f"({', '.join(sorted(foreign)) or BRIDGE}): take it down first, or set KUBECONFIG"
            )
        before = {name: value for name in SYSCTLS if (value := _read(name)) is not None}
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps({"sysctls": before}))
    if not Path(f"/sys/class/net/{BRIDGE}").exists():
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "addr", "add", f"{addresses.node}/32", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    local = f"{{ {addresses.prefix}.0.0/16, {addresses.service_cidr} }}"
    run(
        "nft", "-f", "-",
        stdin=f"""
table ip {TABLE}
delete table ip {TABLE}
table ip {TABLE} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {addresses.pods} ip daddr != {local} masquerade
  }}
}}
""",
    )  # fmt: skip


def down(record: Path) -> None:
    """Remove what `up` and kube-proxy made, and put the kernel's settings back."""
    if not record.exists():
        return
    present = tables()
    for table in (f"ip {TABLE}", "ip kube-proxy", "ip6 kube-proxy"):
        if table in present:
            run("nft", "delete", "table", *table.split())
    if Path(f"/sys/class/net/{BRIDGE}").exists():
        run("ip", "link", "delete", BRIDGE)
    for name, value in json.loads(record.read_text())["sysctls"].items():
        if _read(name) != value:
            Path("/proc/sys", name).write_text(value)
    record.unlink()


def _read(name: str) -> str | None:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return None
