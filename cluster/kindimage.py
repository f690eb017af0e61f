"""A node image for kind where no registry gives one: Debian, kind's own files, our programs."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from cluster import baseimage, build, debian, inputs, oci
from cluster.imagetool import Tool
from cluster.paths import ROOT, ClusterError, cache_dir, locked, log

_DOCKERFILE = """\
FROM scratch
ADD root.tar /
# systemd must know where it runs, and how it is asked to stop.
ENV container=docker
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]
"""
_PACKAGES = (
    "systemd-sysv", "containerd", "runc", "containernetworking-plugins", "conntrack", "iptables",
    "iproute2", "ethtool", "mount", "kmod", "jq", "procps", "ca-certificates",
)  # fmt: skip
_POD_NETWORK = {
    "cniVersion": "0.4.0",
    "name": "kind",
    "plugins": [
        {
            "type": "ptp",
            "ipMasq": True,
            "ipam": {
                "type": "host-local",
                # What kind's defaults give the first node; so the image serves one node.
                "ranges": [[{"subnet": "10.244.0.0/24"}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}
_LOAD_IMAGES = """\
[Unit]
Requires=containerd.service
After=containerd.service
Before=kubelet.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -ec 'for each in /kind/images/*.tar; do ctr -n k8s.io images import $each; done'
[Install]
WantedBy=multi-user.target
"""
_KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    # Kubernetes 1.35 refuses such machines unless told.
    "failCgroupV1": False,
}
_CNI_MANIFEST = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: pod-network, namespace: kube-system}
data: {where: The node image has it in /etc/cni/net.d.}
"""
_STORAGE_MANIFEST = """\
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
"""
_UNITS = ("kubelet", "containerd", "undo-mount-hacks", "load-images")
_ON_NODE = ("kubelet", "kubectl")
_IN_IMAGE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "etcd")
_LAYER_TOOL = "usr/sbin/xtables-nft-multi"


def tag() -> str:
    """Return the tag of this checkout's node image: the hash of what it is made from."""
    parts = [f"cluster/{name}.py" for name in ("kindimage", "oci")]
    parts += ["cluster/go/kind/go.mod"]
    names = ("kubernetes", "kubeadm", "coredns", "pause")
    builds = [build.folder_of(build.COMPONENTS[name]).name for name in names]
    return f"localhost/fairlead/kind-node:{inputs.digest(parts, extra=' '.join(builds))}"


def ensure(tool: Tool) -> str:
    """Make the node image unless the engine has it; return its tag.

    Raises:
        ClusterError: It cannot be made here; the message says what is missing.
    """
    wanted = tag()
    if tool.has(wanted):
        return wanted
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ClusterError("making a node image of Debian packages needs root on Debian")
    with locked(cache_dir() / "locks" / "kind-image", "it is making kind's node image"):
        debian.ensure({"debootstrap": debian.IMAGE_PROGRAMS["debootstrap"]})
        started = time.monotonic()
        log(f"making kind's node image {wanted} of Debian packages")
        with tempfile.TemporaryDirectory(dir=cache_dir(), prefix=".kind-node-") as scratch:
            root = Path(scratch) / "root"
            baseimage.bootstrap(root, _PACKAGES)
            _system(root)
            _kubernetes(root)
            context = Path(scratch) / "context"
            context.mkdir()
            packed = str(context / "root.tar")
            _run(["tar", "-C", str(root), "--numeric-owner", "-cf", packed, "."])
            (context / "Dockerfile").write_text(_DOCKERFILE)
            tool.build(context, context / "Dockerfile", wanted, {})
        log(f"made {wanted} in {time.monotonic() - started:.0f} s")
    return wanted


def _system(root: Path) -> None:
    """Do what the Dockerfile of kind's base image does."""
    files = _kind_module() / "images" / "base" / "files"
    for source in sorted(files.rglob("*")):
        if source.is_file():
            target = root / source.relative_to(files)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            target.chmod(0o755 if target.parent.name == "bin" else 0o644)
    units = root / "usr" / "lib" / "systemd" / "system"
    for pattern in (
        "multi-user.target.wants/*", "local-fs.target.wants/*", "basic.target.wants/*",
        "sockets.target.wants/*udev*", "sockets.target.wants/*initctl*",
        "sysinit.target.wants/systemd-tmpfiles-setup.service",
    ):  # fmt: skip
        for unwanted in units.glob(pattern):
            unwanted.unlink()
    own = root / "etc" / "systemd" / "system"
    for wants in own.glob("*.wants"):
        shutil.rmtree(wants)
    (own / "load-images.service").write_text(_LOAD_IMAGES)
    (own / "multi-user.target.wants").mkdir()
    for name in _UNITS:
        (own / "multi-user.target.wants" / f"{name}.service").symlink_to(f"../{name}.service")
    # These two would change the machine's own kernel, not the node's.
    (own / "systemd-binfmt.service").symlink_to("/dev/null")
    shutil.rmtree(root / "usr" / "lib" / "sysctl.d", ignore_errors=True)
    with (root / "etc" / "systemd" / "journald.conf").open("a") as journal:
        journal.write("ReadKMsg=no\n")
    (root / "usr" / "local" / "bin" / "containerd").symlink_to("/usr/bin/containerd")
    (root / "opt" / "cni").mkdir(parents=True)
    (root / "opt" / "cni" / "bin").symlink_to("/usr/lib/cni")
    spec = json.loads(_run(["chroot", str(root), "ctr", "oci", "spec"]))
    spec["process"].pop("rlimits", None)
    hook = {"path": "/kind/bin/mount-product-files.sh"}
    spec.setdefault("hooks", {}).setdefault("createContainer", []).append(hook)
    (root / "etc" / "containerd" / "cri-base.json").write_text(json.dumps(spec))


def _kubernetes(root: Path) -> None:
    """Add our programs, the images that kubeadm expects, and the pods' network."""
    programs = build.build("kubernetes")
    shutil.copy2(programs / "etcd", root / "usr" / "bin" / "kubernetes")
    for name in _ON_NODE:
        (root / "usr" / "bin" / name).symlink_to("kubernetes")
    kubeadm = build.program("kubeadm")
    shutil.copy2(kubeadm, root / "usr" / "bin" / "kubeadm")
    kind = root / "kind"
    (kind / "version").write_text(build.KUBERNETES_VERSION)
    for folder in ("images", "manifests", "kubelet.conf.d"):
        (kind / folder).mkdir()
    listed = _run(
        [str(kubeadm), "config", "images", "list", "--kubernetes-version", build.KUBERNETES_VERSION]
    )
    images = {re.sub(r".*/|:.*", "", line): line for line in listed.split()}
    layer = _control_plane(root, programs / "etcd")
    names = [images[name] for name in _IN_IMAGE]
    oci.image_of(layer, kind / "images" / "kubernetes.tar", tags=names, user="0:0")
    for name, user in (("coredns", "0:0"), ("pause", "65532:65532")):
        target = kind / "images" / f"{name}.tar"
        oci.image_archive(build.program(name), target, tag=images[name], user=user)
    containerd = root / "etc" / "containerd" / "config.toml"
    settings = re.sub(r"(sandbox_image =) .*", rf'\1 "{images["pause"]}"', containerd.read_text())
    # As kind does in a user namespace: not every engine's machine lets this be lowered.
    containerd.write_text(re.sub(r"(restrict_oom_score_adj =) .*", r"\1 true", settings))
    (kind / "manifests" / "default-cni.yaml").write_text(_CNI_MANIFEST)
    (kind / "manifests" / "default-storage.yaml").write_text(_STORAGE_MANIFEST)
    (kind / "kubelet.conf.d" / "10-cgroup.conf").write_text(json.dumps(_KUBELET))
    defaults = root / "etc" / "default" / "kubelet"
    defaults.write_text(f"{defaults.read_text().strip()} --config-dir=/kind/kubelet.conf.d\n")
    (root / "etc" / "kubernetes" / "manifests").mkdir(parents=True)
    network = root / "etc" / "cni" / "net.d" / "10-kind.conflist"
    network.parent.mkdir(parents=True, exist_ok=True)
    network.write_text(json.dumps(_POD_NETWORK))


def _control_plane(root: Path, program: Path) -> bytes:
    """Return a layer with the control plane's programs, and iptables for kube-proxy."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(program.resolve(), "usr/local/bin/kubernetes")
        for name in _IN_IMAGE:
            tar.addfile(_link(f"usr/local/bin/{name}", "kubernetes"))
        tar.add(root / _LAYER_TOOL, _LAYER_TOOL)
        for family in ("iptables", "ip6tables"):
            for suffix in ("", "-save", "-restore"):
                tar.addfile(_link(f"usr/sbin/{family}{suffix}", Path(_LAYER_TOOL).name))
        extensions = [path.relative_to(root) for path in root.glob("usr/lib/*/xtables/lib*.so")]
        needing = [f"/{name}" for name in (_LAYER_TOOL, *extensions)]
        libraries = _run(["chroot", str(root), "ldd", *needing])
        for library in sorted(set(re.findall(r"(/\S+) \(0x", libraries))):
            tar.add((root / library.lstrip("/")).resolve(), library.lstrip("/"))
        for extension in extensions:
            tar.add(root / extension, str(extension))
    return layer.getvalue()


def _link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


def _kind_module() -> Path:
    command = [build.go(), "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kind"]
    build.build("kind")
    return Path(_run(command, folder=ROOT / "cluster" / "go" / "kind").strip())


def _run(argv: Sequence[str], folder: Path | None = None) -> str:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"{argv[0]} failed:\n{(done.stdout + done.stderr).strip()[-800:]}")
    return done.stdout
