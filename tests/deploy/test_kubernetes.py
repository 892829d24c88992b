"""The manifests: valid by the schema of Kubernetes, strictly, and as careful as they say."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from nas_service.queues import CONCURRENCY
from nas_service.settings import Settings
from tests.tools import lacks

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
BUILT = ("base", "overlays/gpu", "overlays/agents", "overlays/gpu-and-agents")
VERSION = "1.37"


def _built(what: str) -> list[dict[str, Any]]:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        lacks("kubectl is not installed (Debian: kubernetes-client)")
    done = subprocess.run(
        [str(kubectl), "kustomize", str(FOLDER / what)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def _pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in objects
        if "template" in one.get("spec", {})
    }


@pytest.mark.parametrize("what", BUILT)
def test_all_of_it_is_as_kubernetes_wants_it(what: str) -> None:
    objects = _built(what)
    assert len(objects) >= 11
    for one in objects:
        kubernetes_validate.validate(one, VERSION, strict=True)
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == "nas"


@pytest.mark.parametrize("what", BUILT)
def test_no_pod_may_more_than_it_needs(what: str) -> None:
    pods = _pods(_built(what))
    assert {"nas-api", "nas-migrate", "nas-worker"} <= set(pods)
    for name, pod in pods.items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["containers"]:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, name
            assert own["readOnlyRootFilesystem"] is True, name
            assert own["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"]["limits"]["memory"], name


def test_nobody_reaches_a_pod_but_the_api() -> None:
    policies = {
        one["metadata"]["name"]: one["spec"]
        for one in _built("base")
        if one["kind"] == "NetworkPolicy"
    }
    assert policies["nas-nobody"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    api = {"app.kubernetes.io/name": "nas", "app.kubernetes.io/component": "api"}
    opened = {
        port["port"]
        for name, policy in policies.items()
        for rule in policy.get("ingress", ())
        for port in rule["ports"]
        if policy["podSelector"] == {"matchLabels": api}
    }
    assert opened == {8000, 9464}
    (metrics,) = policies["nas-metrics"]["ingress"]
    assert metrics["from"]


def test_settings_and_commands_are_ours() -> None:
    (settings,) = (one["data"] for one in _built("base") if one["kind"] == "ConfigMap")
    known = set(Settings.model_fields)
    assert {name.removeprefix("NAS_").lower() for name in settings} <= known
    assert Settings(**{k.removeprefix("NAS_").lower(): v for k, v in settings.items()})
    queues: dict[str, set[str]] = {}
    for what in BUILT:
        for name, pod in _pods(_built(what)).items():
            command = pod["containers"][0]["command"]
            if command[:2] == ["nas", "worker"]:
                queues[f"{what} {name}"] = set(command[3].split(","))
    assert queues["base nas-worker"] | {"device"} == set(CONCURRENCY)
    with_gpu = queues["overlays/gpu nas-worker"], queues["overlays/gpu nas-worker-gpu"]
    assert with_gpu[0] | with_gpu[1] == queues["base nas-worker"]
    assert not with_gpu[0] & with_gpu[1]
    assert queues["overlays/gpu-and-agents nas-worker"] == with_gpu[0]


def test_an_agent_sees_its_own_token_alone() -> None:
    pod = _pods(_built("overlays/agents"))["nas-agent"]
    (container,) = pod["containers"]
    secrets = {one["name"] for one in pod["volumes"] if "secret" in one}
    (mount,) = [one for one in container["volumeMounts"] if one["name"] in secrets]
    name = mount["subPathExpr"].removeprefix("$(").removesuffix(")")
    (node,) = [one for one in container["env"] if one["name"] == name]
    assert node["valueFrom"]["fieldRef"]["fieldPath"] == "spec.nodeName"
    assert mount["readOnly"]
    assert f"$(cat {mount['mountPath']})" in container["command"][-1]
