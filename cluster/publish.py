"""Makes a release: everything that people install, with checksums, from one commit.

`python -m cluster.publish 0.1.0 --dry-run` makes all of it here and pushes nothing.
"""

from __future__ import annotations

import argparse
import datetime as dt
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster import build, images, imagetool, pyenv, sbom, versions
from cluster.paths import ROOT, ClusterError, log

CHART = ROOT / "charts" / "fairlead"
NAMESPACE = "fairlead-system"
PLATFORMS = ("linux/amd64", "linux/arm64")
_NAMESPACE = f"""\
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""
_KUBERNETES = "1.35.0"


@dataclass(frozen=True, kw_only=True)
class Release:
    """What is released.

    Attributes:
        version: Its version.
        out: The folder that everything goes to.
        registry: Where images are pushed, such as `registry.example.com/fairlead`; None in a dry
            run.
        platforms: What the images are built for.
        source: URL of the sources, for the images' labels; empty where there is none to name.
    """

    version: str
    out: Path
    registry: str | None
    platforms: tuple[str, ...]
    source: str = ""

    def image(self, name: str) -> str:
        """Return an image's name as people pull it."""
        return f"{self.registry or 'fairlead'}/{name}:{self.version}"


def make(release: Release) -> None:
    """Make everything, and push what is pushed.

    Raises:
        ClusterError: Something cannot be made; the message says what to do.
    """
    versions.check(release.version)
    revision, committed = _commit(clean=release.registry is not None)
    changelog = (ROOT / "CHANGELOG.md").read_text()
    notes = versions.notes(release.version, changelog)
    if notes is None and release.registry is None:
        notes = versions.notes("Unreleased", changelog)
    if notes is None:
        raise ClusterError(
            f"CHANGELOG.md has no section {release.version}: run `make version "
            f"VERSION={release.version}`, look at the change, and commit it"
        )
    shutil.rmtree(release.out, ignore_errors=True)
    release.out.mkdir(parents=True)
    log("building wheel and sdist")
    _distributions(release.out, committed)
    labels = {
        "org.opencontainers.image.revision": revision,
        "org.opencontainers.image.created": committed.isoformat(),
        **({"org.opencontainers.image.source": release.source} if release.source else {}),
    }
    pushed = {name: _image(release, name, labels) for name in images.NAMES}
    log("packaging the chart and the manifests")
    helm("package", str(CHART), "--destination", str(release.out))
    (release.out / "fairlead-crds.yaml").write_text(crds())
    (release.out / "install.yaml").write_text(install_manifest(*_image_values(release)))
    listed = "\n".join(f"- `{pushed[name]}`" for name in images.NAMES)
    made_for = ", ".join(release.platforms)
    text = f"# Fairlead {release.version}\n\n{notes}\n## Images\n\nFor {made_for}:\n\n{listed}\n"
    (release.out / "RELEASE.md").write_text(text)
    _checksums(release.out)


def crds() -> str:
    """Return all CRDs as one document stream."""
    return "".join(f"---\n{path.read_text()}" for path in sorted((ROOT / "crds").glob("*.yaml")))


def install_manifest(*values: str) -> str:
    """Return what `kubectl apply -f install.yaml` installs: namespace, CRDs, operator and recorder.

    Args:
        values: Values of the chart, as `key=value`.
    """
    flags = [word for value in values for word in ("--set-string", value)]
    rendered = helm(
        "template", "fairlead", str(CHART), "--namespace", NAMESPACE, "--kube-version",
        _KUBERNETES, "--skip-tests", "--set", "recorder.enabled=true", *flags,
    )  # fmt: skip
    return f"{_NAMESPACE}{rendered}"


def helm(*args: str) -> str:
    """Run helm without a cluster and return what it prints.

    Raises:
        ClusterError: It failed; the message is its own.
    """
    done = subprocess.run(
        [str(build.program("helm")), *args], capture_output=True, text=True, check=False,
        env={**os.environ, "KUBECONFIG": os.devnull},
    )  # fmt: skip
    if done.returncode != 0:
        raise ClusterError(f"helm {args[0]} failed: {done.stderr.strip()[-800:]}")
    return done.stdout


def _image_values(release: Release) -> tuple[str, ...]:
    return (
        f"image.repository={release.image('operator').rpartition(':')[0]}",
        f"image.tag={release.version}",
        f"runtimeImage={release.image('runtime')}",
        f"router.image={release.image('router')}",
    )


def _distributions(out: Path, committed: dt.datetime) -> None:
    """Build wheel and sdist: the same commit gives the same bytes."""
    python = pyenv.environment("build") / "bin" / "python"
    done = subprocess.run(
        [str(python), "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", str(out)],
        capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(int(committed.timestamp()))},
    )  # fmt: skip
    if done.returncode != 0:
        raise ClusterError(f"hatchling failed: {(done.stdout + done.stderr).strip()[-800:]}")


def _image(release: Release, name: str, labels: dict[str, str]) -> str:
    """Build an image for each platform, keep it as an archive, push it; return its name."""
    tool = imagetool.find_tool()
    there = release.image(name)
    parts: list[str] = []
    for platform in release.platforms:
        suffix = platform.replace("/", "-")
        tag = f"localhost/fairlead/{name}:{release.version}-{suffix}"
        archive = release.out / f"fairlead-{name}-{release.version}-{suffix}.tar"
        images.build(tool, name, tag, archive, labels=labels, platform=platform)
        _keep_list(archive, release.out / f"fairlead-{name}-{release.version}-{suffix}.cdx.json")
        _compress(archive)
        if release.registry is not None:
            parts.append(f"{there}-{suffix}")
            tool.push(tag, parts[-1])
    if release.registry is not None:
        tool.combine(parts, there)
    return there


def _keep_list(archive: Path, target: Path) -> None:
    """Take the list of what an image is made of out of its archive."""
    with tarfile.open(archive) as outer:
        manifest = outer.extractfile("manifest.json")
        layers = json.load(manifest)[0]["Layers"] if manifest is not None else []
        for name in reversed(layers):
            with tarfile.open(fileobj=outer.extractfile(name)) as layer:
                for each in layer:
                    if f"/{each.name.removeprefix('./')}" == sbom.PATH:
                        content = layer.extractfile(each)
                        if content is not None:
                            target.write_bytes(content.read())
                            return
    raise ClusterError(f"{archive.name} has no {sbom.PATH}")


def _compress(archive: Path) -> None:
    """Compress an archive in place; docker, podman and containerd read it as it is."""
    target = archive.with_name(archive.name + ".gz")
    with archive.open("rb") as source, gzip.GzipFile(target, "wb", 6, mtime=0) as out:
        shutil.copyfileobj(source, out, 1 << 20)
    archive.unlink()


def _checksums(out: Path) -> None:
    """Write SHA256SUMS over everything, as `sha256sum --check` reads it."""
    lines = []
    for path in sorted(out.iterdir()):
        with path.open("rb") as handle:
            lines.append(f"{hashlib.file_digest(handle, 'sha256').hexdigest()}  {path.name}\n")
    (out / "SHA256SUMS").write_text("".join(lines))


def _commit(*, clean: bool) -> tuple[str, dt.datetime]:
    """Return the commit that this tree is of, and its time.

    Raises:
        ClusterError: It is no commit, or has been changed since while it must not be.
    """

    def git(*args: str) -> str:
        done = subprocess.run(["git", *args], capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode != 0:
            raise ClusterError(f"a release is made from a commit: {done.stderr.strip()}")
        return done.stdout.strip()

    if clean and git("status", "--porcelain"):
        raise ClusterError("the tree has changes that are not committed: a release is of a commit")
    committed = dt.datetime.fromtimestamp(int(git("log", "-1", "--format=%ct")), dt.UTC)
    return git("rev-parse", "HEAD"), committed


def here() -> str:
    """Return this machine's platform."""
    machine = os.uname().machine
    return f"linux/{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(machine, machine) }"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m cluster.publish",
        description="Make a release of this commit in dist/VERSION.",
        epilog="Other platforms than this machine's need its kernel to emulate them (binfmt).",
    )
    parser.add_argument("version")
    parser.add_argument("--dry-run", action="store_true", help="push nothing")
    parser.add_argument("--registry", help="where images are pushed: registry.example.com/fairlead")
    parser.add_argument("--source", default="", help="URL of the sources, for the images' labels")
    parser.add_argument("--out", type=Path, help="the folder (default: dist/VERSION)")
    parser.add_argument(
        "--platform", action="append",
        help="what images are built for; may be given more than once (default: "
        f"{' '.join(PLATFORMS)}; in a dry run this machine's)",
    )  # fmt: skip
    args = parser.parse_args(argv)
    if args.dry_run == bool(args.registry):
        parser.error("say --registry REGISTRY, or --dry-run")
    platforms = tuple(args.platform or ((here(),) if args.dry_run else PLATFORMS))
    release = Release(
        version=args.version,
        out=args.out or ROOT / "dist" / args.version,
        registry=args.registry,
        platforms=platforms,
        source=args.source,
    )
    try:
        make(release)
    except ClusterError as error:
        sys.stderr.write(f"release: {error}\n")
        return 1
    for path in sorted(release.out.iterdir()):
        print(f"{path.stat().st_size / 1e6:10.2f} MB  {path.name}")
    missing = [each for each in PLATFORMS if each not in platforms]
    if missing:
        print(f"release: images for {', '.join(missing)} were not built here")
    return 0


if __name__ == "__main__":
    sys.exit(main())
