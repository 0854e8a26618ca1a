"""Checks of Kubernetes objects without a server. Needs helm_tools.ensure()."""

from __future__ import annotations

import os
import subprocess
from typing import Any, Sequence

import cloudcoil.models.keda.v1alpha1 as keda
import cloudcoil.models.prometheus_operator.v1 as prometheus_operator
import kubernetes_validate
import pydantic
import yaml

from lib.project import TOOLS

# The oldest that Chart.yaml accepts, and the newest whose schemas are installed.
VERSIONS = ("1.30", kubernetes_validate.latest_version())
CUSTOM = {
    "keda.sh/v1alpha1 ScaledObject": keda.ScaledObject,
    "monitoring.coreos.com/v1 PrometheusRule": prometheus_operator.PrometheusRule,
    "monitoring.coreos.com/v1 ServiceMonitor": prometheus_operator.ServiceMonitor,
}


def name_of(thing: dict[str, Any]) -> str:
    """Kind and name, such as `Deployment gavel-judge`."""
    return f"{thing.get('kind')} {thing.get('metadata', {}).get('name')}"


def problems(thing: dict[str, Any]) -> list[str]:
    """What the schema of its kind refuses: wrong types, missing fields and unknown ones."""
    model = CUSTOM.get(f"{thing.get('apiVersion')} {thing.get('kind')}")
    return custom_problems(thing, model) if model else builtin_problems(thing)


def custom_problems(thing: dict[str, Any], model: type[pydantic.BaseModel]) -> list[str]:
    """The problems of an object of a custom kind."""
    try:
        model.model_validate(thing, strict=True, extra="forbid", by_alias=True, by_name=False)
    except pydantic.ValidationError as error:
        return [f"{name_of(thing)}: {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
    return []


def builtin_problems(thing: dict[str, Any]) -> list[str]:
    """The problems of an object of Kubernetes, in each of VERSIONS."""
    found = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(thing, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"{name_of(thing)}: Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError as error:
            found.append(f"{name_of(thing)}: {error.message}")
    return found


def kubectl_problems(things: Sequence[dict[str, Any]]) -> list[str]:
    """What kubectl cannot read, of all objects, and of the deployments with the types in its own code.

    The dry run is of commands with `--local`: that of `kubectl apply` asks a server which kinds exist.
    """
    deployments = [each for each in things if each["kind"] == "Deployment"]
    return [*unread(things, "label", "checked=true"), *unread(deployments, "set", "env", "CHECKED=true")]


def unread(things: Sequence[dict[str, Any]], *command: str) -> list[str]:
    """The problems of one command of kubectl, which must print the name of each object."""
    local = [str(TOOLS / "bin" / "kubectl"), *command, "--local", "--dry-run=client", "--filename=-", "--output=name"]
    # Without a configuration, it cannot connect to a cluster by mistake.
    done = subprocess.run(local, input=yaml.safe_dump_all(things), env={**os.environ, "KUBECONFIG": os.devnull},
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return [f"kubectl {command[0]}: {done.stderr.strip()}"]
    named = len(done.stdout.split())
    return [] if named == len(things) else [f"kubectl {command[0]} printed {named} names of {len(things)} objects"]
