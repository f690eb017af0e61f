"""Helm and its output, for the tests of the chart."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from cluster.build import program
from cluster.paths import ROOT, cache_dir

CHART = ROOT / "charts" / "fairlead"
VARIANTS = sorted((Path(__file__).parent / "values").glob("*.yaml"))
NAMESPACE = "fairlead-system"
Document = dict[str, Any]


class HelmError(Exception):
    """Helm refused; the message is its own."""


def helm(*args: str, kubeconfig: Path | None = None) -> str:
    """Run helm, away from the user's own configuration, and return what it prints.

    Raises:
        HelmError: It failed.
    """
    home = cache_dir() / "helm"
    env = {
        **{key: value for key, value in os.environ.items() if not key.startswith("HELM_")},
        "HELM_CACHE_HOME": str(home / "cache"),
        "HELM_CONFIG_HOME": str(home / "config"),
        "HELM_DATA_HOME": str(home / "data"),
        "KUBECONFIG": str(kubeconfig or os.devnull),
    }
    done = subprocess.run(
        [str(program("helm")), *args], capture_output=True, text=True, check=False, env=env
    )
    if done.returncode != 0:
        raise HelmError(done.stdout + done.stderr)
    return done.stdout


def template(*args: str, version: str = "1.35.0", release: str = "fairlead") -> str:
    """Return the chart's objects as YAML, without asking any cluster."""
    common = ("--namespace", NAMESPACE, "--kube-version", version)
    return helm("template", release, str(CHART), *common, *args)


def render(*args: str, version: str = "1.35.0", release: str = "fairlead") -> list[Document]:
    """Return the chart's objects."""
    text = template(*args, version=version, release=release)
    return [document for document in yaml.safe_load_all(text) if document is not None]


def of_kind(documents: list[Document], *kinds: str) -> list[Document]:
    """Return the objects of some kinds."""
    return [document for document in documents if document["kind"] in kinds]


def only(documents: list[Document], kind: str, name: str | None = None) -> Document:
    """Return the one object of a kind (and name)."""
    found = [d for d in of_kind(documents, kind) if name in (None, d["metadata"]["name"])]
    assert len(found) == 1, [d["metadata"]["name"] for d in of_kind(documents, kind)]
    return found[0]


def operator_args(documents: list[Document]) -> list[str]:
    """Return the arguments that the chart gives the operator."""
    pod = only(documents, "Deployment")["spec"]["template"]["spec"]
    args: list[str] = pod["containers"][0]["args"]
    return args


def rules(documents: list[Document]) -> list[tuple[str, str, str, frozenset[str]]]:
    """Return every right in the objects: role, group, resource, verbs."""
    return [
        (role["metadata"]["name"], group, resource, frozenset(rule["verbs"]))
        for role in of_kind(documents, "Role", "ClusterRole")
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    ]


def values() -> Document:
    """Return the chart's default values."""
    document: Document = yaml.safe_load((CHART / "values.yaml").read_text())
    return document


def schema() -> Document:
    """Return the schema of the values."""
    document: Document = json.loads((CHART / "values.schema.json").read_text())
    return document
