"""The manifests of `deploy/kubernetes`: valid for two versions, and in step with the service."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from preference_center.__main__ import read_procfile
from preference_center.inbound.smtp_server import SHUTDOWN_TIMEOUT
from preference_center.infra.config import Settings, load_settings
from tests.environment import settings_for
from workers.web import STOP_TIMEOUT

FOLDER = Path(__file__).resolve().parents[2] / "deploy/kubernetes"
VERSIONS = ("1.31", "1.37")
WORKLOAD_KINDS = {"Deployment", "StatefulSet", "Job"}
NEEDS_KUSTOMIZE = pytest.mark.skipif(
    shutil.which("kustomize") is None,
    reason="kustomize is missing: apt-get install kustomize",
)
Manifest = dict[str, Any]


def manifests() -> Iterator[Manifest]:
    for path in sorted(FOLDER.rglob("*.yaml")):
        if path.name != "kustomization.yaml":
            yield from yaml.safe_load_all(path.read_text())


ALL = list(manifests())
WORKLOADS = [each for each in ALL if each["kind"] in WORKLOAD_KINDS]
SERVING = [each for each in WORKLOADS if each["kind"] != "Job"]


def settings_file() -> dict[str, str]:
    """What kustomize makes the ConfigMap of: NAME=VALUE lines and comments."""
    lines = (FOLDER / "settings/settings.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


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


@pytest.mark.parametrize("kind", ["web", "console", "mail"])
def test_a_pod_takes_requests_until_nobody_sends_any(kind: str) -> None:
    """And has the time after that which its process may take to finish: `workers.web`, `mail`."""
    (pod,) = (each["spec"]["template"]["spec"] for each in SERVING if name(each).endswith(kind))
    (container,) = pod["containers"]
    command = container["lifecycle"]["preStop"]["exec"]["command"]
    assert command == ["sleep", "10"]
    takes = SHUTDOWN_TIMEOUT if kind == "mail" else STOP_TIMEOUT
    assert pod["terminationGracePeriodSeconds"] > 10 + takes


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


def overlay(folder: Path, of: Path, setting: str) -> Path:
    """An overlay as docs/kubernetes.md has it, with a setting and the Secret's files."""
    folder.mkdir()
    (folder / "settings.env").write_text(f"{setting}\n")
    (folder / "database-url").write_text(setting)
    ours = {"name": "preference-center", "namespace": "preference-center"}
    kustomization = {
        "resources": [os.path.relpath(of, folder)],
        "configMapGenerator": [ours | {"behavior": "merge", "envs": ["settings.env"]}],
        "secretGenerator": [ours | {"files": ["database-url"]}],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return folder


def built(folder: Path) -> list[Manifest]:
    command = ["kustomize", "build", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(done.stdout))


@NEEDS_KUSTOMIZE
@pytest.mark.parametrize("folder", [FOLDER, FOLDER / "migrate"], ids=["all", "migrate"])
def test_what_kustomize_builds_is_valid(folder: Path, schemas: Any) -> None:
    for manifest in built(folder):
        schemas.validate(manifest, VERSIONS[-1], strict=True)
        assert manifest["metadata"]["namespace"] == "preference-center"
    (config,) = (each for each in built(folder) if each["kind"] == "ConfigMap")
    assert config["data"] == settings_file()


@NEEDS_KUSTOMIZE
@pytest.mark.parametrize("folder", [FOLDER, FOLDER / "migrate"], ids=["all", "migrate"])
def test_a_changed_setting_or_secret_replaces_every_pod(folder: Path, tmp_path: Path) -> None:
    named = []
    for place in ("Rome", "Paris"):
        manifests = built(overlay(tmp_path / place, folder, f"TIME_ZONE=Europe/{place}"))
        (config,) = (each for each in manifests if each["kind"] == "ConfigMap")
        (secret,) = (each for each in manifests if each["kind"] == "Secret")
        assert config["data"] == settings_file() | {"TIME_ZONE": f"Europe/{place}"}
        pods = [pod(each) for each in manifests if each["kind"] in WORKLOAD_KINDS]
        found = {(config_named_by(each), secret_named_by(each)) for each in pods}
        assert found == {(config["metadata"]["name"], secret["metadata"]["name"])}
        named.append(found.pop())
    assert named[0][0] != named[1][0]
    assert named[0][1] != named[1][1]


def config_named_by(spec: Manifest) -> str:
    (source,) = spec["containers"][0]["envFrom"]
    return str(source["configMapRef"]["name"])


def secret_named_by(spec: Manifest) -> str:
    (volume,) = (each for each in spec["volumes"] if "secret" in each)
    return str(volume["secret"]["secretName"])


def test_every_process_runs() -> None:
    started = {pod(each)["containers"][0]["args"][0] for each in SERVING}
    assert started == read_procfile().keys()


def test_all_that_must_be_set_is_set_and_secrets_come_from_files() -> None:
    known = {field.upper(): each for field, each in Settings.model_fields.items()}
    named = {key.removesuffix("_FILE") for key in settings_file()}
    assert named <= known.keys()
    assert {key for key, each in known.items() if each.is_required()} <= named
    for secret in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DIGEST_KEYS", "LINK_KEYS"):
        assert f"{secret}_FILE" in settings_file()
    assert {"PRIVATE_NETWORKS"} | {key for key in known if key.startswith("FEED_KAFKA")} <= named
    mount = "/run/secrets/preference-center/"
    files = [value for key, value in settings_file().items() if key.endswith("_FILE")]
    assert all(value.startswith(mount) for value in files)
    shown = (FOLDER.parents[1] / "docs/kubernetes.md").read_text()
    assert all(f"--from-file={value.removeprefix(mount)}" in shown for value in files)
    for workload in WORKLOADS:
        container = pod(workload)["containers"][0]
        extra = {each["name"] for each in container.get("env", ())}
        assert extra <= known.keys() | {"WEB_WORKERS"}


def test_the_service_reads_the_values_of_the_config_map(monkeypatch: pytest.MonkeyPatch) -> None:
    required = settings_for("postgresql://user@host/name", "redis://host/0").model_dump()
    for key, value in settings_file().items():
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
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert str(ports["internal"]) == settings_file()["INTERNAL_PORT"]


@pytest.mark.parametrize("workload", SERVING, ids=name)
def test_a_drain_takes_one_pod_at_a_time(workload: Manifest) -> None:
    labels = workload["spec"]["template"]["metadata"]["labels"]
    (budget,) = (
        each
        for each in of_kind("PodDisruptionBudget")
        if each["spec"]["selector"]["matchLabels"] == labels
    )
    assert budget["spec"]["maxUnavailable"] == 1
    if workload["metadata"]["name"] == "publisher":  # a second one would take the topic from it
        assert workload["spec"]["replicas"] == 1
        assert workload["spec"]["strategy"] == {"type": "Recreate"}
    else:
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
