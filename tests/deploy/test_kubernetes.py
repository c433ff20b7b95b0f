"""The manifests of `deploy/kubernetes`: valid for two versions, and in step with the service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from preference_center.config import Settings, load_settings
from preference_center.processes import read_procfile
from tests.environment import settings_for

FOLDER = Path(__file__).resolve().parents[2] / "deploy/kubernetes"
VERSIONS = ("1.31", "1.37")
Manifest = dict[str, Any]


def manifests() -> Iterator[Manifest]:
    for path in sorted(FOLDER.rglob("*.yaml")):
        if path.name != "kustomization.yaml":
            yield from yaml.safe_load_all(path.read_text())


ALL = list(manifests())
WORKLOADS = [each for each in ALL if each["kind"] in {"Deployment", "StatefulSet", "Job"}]
SERVING = [each for each in WORKLOADS if each["kind"] != "Job"]


def name(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def of_kind(kind: str) -> list[Manifest]:
    return [each for each in ALL if each["kind"] == kind]


def pod(workload: Manifest) -> Manifest:
    found: Manifest = workload["spec"]["template"]["spec"]
    return found


@pytest.fixture(scope="module")
def schemas() -> Any:
    """The package with the schemas of Kubernetes; `make test` installs it."""
    return pytest.importorskip(
        "kubernetes_validate", reason="kubernetes-validate is not installed: make test"
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", ALL, ids=name)
def test_a_manifest_is_valid(manifest: Manifest, version: str, schemas: Any) -> None:
    schemas.validate(manifest, version, strict=True)


def test_the_check_finds_a_field_that_does_not_exist(schemas: Any) -> None:
    wrong = SERVING[0] | {"spec": SERVING[0]["spec"] | {"replcas": 2}}
    with pytest.raises(schemas.ValidationError):
        schemas.validate(wrong, VERSIONS[-1], strict=True)


def test_kustomize_is_given_every_file() -> None:
    for path in FOLDER.rglob("kustomization.yaml"):
        listed = {
            (path.parent / entry).resolve()
            for entry in yaml.safe_load(path.read_text())["resources"]
        }
        files = {each for each in path.parent.glob("*.yaml") if each != path}
        assert {each for each in listed if each.suffix} == files
        assert all((each / "kustomization.yaml").exists() for each in listed if not each.suffix)


def test_every_process_runs_but_the_one_that_needs_kafka() -> None:
    started = {pod(each)["containers"][0]["args"][0] for each in SERVING}
    assert started == read_procfile().keys() - {"publisher"}


def test_all_that_must_be_set_is_set_and_secrets_come_from_files() -> None:
    (config,) = of_kind("ConfigMap")
    known = {field.upper(): each for field, each in Settings.model_fields.items()}
    named = {key.removesuffix("_FILE") for key in config["data"]}
    assert named <= known.keys()
    assert {key for key, each in known.items() if each.is_required()} <= named
    for secret in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DIGEST_KEYS", "LINK_KEYS"):
        assert f"{secret}_FILE" in config["data"]
    assert {"PRIVATE_NETWORKS"} | {key for key in known if key.startswith("FEED_KAFKA")} <= named
    mount = "/run/secrets/preference-center/"
    files = [value for key, value in config["data"].items() if key.endswith("_FILE")]
    assert all(value.startswith(mount) for value in files)
    shown = (FOLDER.parents[1] / "docs/kubernetes.md").read_text()
    assert all(f"--from-file={value.removeprefix(mount)}" in shown for value in files)
    for workload in WORKLOADS:
        container = pod(workload)["containers"][0]
        extra = {each["name"] for each in container.get("env", ())}
        assert extra <= known.keys() | {"WEB_WORKERS"}


def test_the_service_reads_the_values_of_the_config_map(monkeypatch: pytest.MonkeyPatch) -> None:
    (config,) = of_kind("ConfigMap")
    required = settings_for("postgresql://user@host/name", "redis://host/0").model_dump()
    for key, value in config["data"].items():
        name = key.removesuffix("_FILE")
        monkeypatch.setenv(name, required[name.lower()] if name != key else value)
    settings = load_settings()
    assert settings.feed_kafka_topic is None
    assert settings.feed_kafka_config is None
    assert settings.reachable_networks == ()


@pytest.mark.parametrize("workload", WORKLOADS, ids=name)
def test_a_pod_has_no_rights_that_it_does_not_need(workload: Manifest) -> None:
    spec = pod(workload)
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (
        container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]
    )
    volumes = {each["name"] for each in spec["volumes"]}
    claims = {each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates", ())}
    assert {each["name"] for each in container["volumeMounts"]} == volumes | claims


@pytest.mark.parametrize("workload", SERVING, ids=name)
def test_an_outage_of_the_database_restarts_nothing(workload: Manifest) -> None:
    (container,) = pod(workload)["containers"]
    paths = {
        probe: container[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert paths == {
        "startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"
    }  # fmt: skip
    (config,) = of_kind("ConfigMap")
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert str(ports["internal"]) == config["data"]["INTERNAL_PORT"]


@pytest.mark.parametrize("workload", SERVING, ids=name)
def test_a_drain_takes_one_pod_at_a_time(workload: Manifest) -> None:
    labels = workload["spec"]["template"]["metadata"]["labels"]
    (budget,) = (
        each
        for each in of_kind("PodDisruptionBudget")
        if each["spec"]["selector"]["matchLabels"] == labels
    )
    assert budget["spec"]["maxUnavailable"] == 1
    assert workload["spec"]["replicas"] >= 2


def test_the_spool_is_on_a_disk_of_the_pod() -> None:  # I1
    for workload in SERVING:
        environ = {
            each["name"]: each.get("value")
            for each in pod(workload)["containers"][0].get("env", ())
        }
        if "SPOOL_DIR" in environ:
            mounts = {
                each["mountPath"]: each["name"]
                for each in pod(workload)["containers"][0]["volumeMounts"]
            }
            assert mounts[environ["SPOOL_DIR"]] == "spool"
            assert workload["kind"] == "StatefulSet"
    assert {each["metadata"]["name"] for each in SERVING if each["kind"] == "StatefulSet"} == {
        "web", "mail"
    }  # fmt: skip


def test_nobody_reaches_the_internal_port_but_the_monitoring() -> None:
    for policy in of_kind("NetworkPolicy"):
        for rule in policy["spec"].get("ingress", ()):
            assert rule["from"], "an empty list lets everybody in"
    for service in of_kind("Service"):
        assert {each["targetPort"] for each in service["spec"]["ports"]} <= {"http", "lmtp"}
