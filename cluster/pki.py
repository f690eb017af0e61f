"""Certificates for one cluster: an authority of its own, and what it signs, by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cluster.paths import ClusterError

_DAYS = "3650"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(*args: str, cwd: Path) -> None:
    """Run openssl quietly.

    Raises:
        ClusterError: It failed, or is not there.
    """
    try:
        done = subprocess.run(
            ["openssl", *args], cwd=cwd, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise ClusterError("openssl is missing: install the package openssl") from None
    if done.returncode != 0:
        raise ClusterError(f"openssl {args[0]} failed: {done.stderr.strip()[-300:]}")


def authority(directory: Path) -> None:
    """Make `ca.crt` and `ca.key`, and `sa.key`, which signs ServiceAccount tokens."""
    directory.mkdir(parents=True, exist_ok=True)
    openssl(
        "req", "-x509", *_NEW_KEY, "-keyout", "ca.key", "-out", "ca.crt", "-days", _DAYS,
        "-subj", "/CN=fairlead-cluster-ca",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature",
        cwd=directory,
    )  # fmt: skip
    # SEC 1, because the API server reads no public key out of PKCS 8.
    openssl("ecparam", "-genkey", "-noout", "-name", "prime256v1", "-out", "sa.key", cwd=directory)


def certificate(
    directory: Path, name: str, subject: str, *, names: tuple[str, ...] = (), server: bool = False
) -> None:
    """Make `<name>.crt` and `<name>.key`, signed by the authority of this directory.

    Args:
        directory: Where `ca.crt` and `ca.key` are.
        name: Name of the files.
        subject: Subject, for example `/O=system:masters/CN=admin`.
        names: Subject alternative names as openssl writes them, for example `IP:127.0.0.1`.
        server: Whether it proves a server; else a client.
    """
    lines = [
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        f"extendedKeyUsage={'serverAuth' if server else 'clientAuth'}",
        "subjectKeyIdentifier=hash",
        "authorityKeyIdentifier=keyid",
    ]
    if names:
        lines.append("subjectAltName=" + ",".join(names))
    (directory / f"{name}.ext").write_text("\n".join(lines) + "\n")
    openssl("req", *_NEW_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr",
            "-subj", subject, cwd=directory)  # fmt: skip
    openssl(
        "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
        "-CAcreateserial", "-days", _DAYS, "-extfile", f"{name}.ext", "-out", f"{name}.crt",
        cwd=directory,
    )  # fmt: skip


def serving_names(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names under which an API server is reached."""
    hosts = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
             "kubernetes.default.svc.cluster.local")  # fmt: skip
    return tuple(f"DNS:{host}" for host in hosts) + tuple(f"IP:{each}" for each in addresses)
