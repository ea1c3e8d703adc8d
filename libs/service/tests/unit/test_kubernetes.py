"""The manifests for Kubernetes against its schemas, the code and docker-compose.yml."""

import re
import shutil
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tapewire.auth import AuthSettings
from tapewire.broker.permissions import GRANTS
from tapewire.service import ServiceSettings
from tapewire.service.settings import Settings

ROOT = Path(__file__).parents[4]
HERE = ROOT / "infra" / "kubernetes"
SERVICES = ("dashboard", "desk", "edge", "ingest", "market", "risk")
VERSIONS = ("1.30", "1.37")
NOT_OURS = "rabbitmq.com/"  # the operator's: no schema of it is at hand

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
ELSEWHERE = {
    "secrets": "Secrets, made by whoever sets it up",
    "postgres": "external",
    "trader": "of the demo",
}
UVICORNS = {"FORWARDED_ALLOW_IPS"}


def documents() -> list[dict[str, Any]]:
    names = yaml.safe_load((HERE / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    texts = [(HERE / name).read_text(encoding="utf-8") for name in names]
    return [document for text in texts for document in yaml.safe_load_all(text)]


EVERYTHING = documents()
CUSTOMISATION = yaml.safe_load((HERE / "kustomization.yaml").read_text(encoding="utf-8"))


def of(kind: str, name: str) -> dict[str, Any]:
    return next(d for d in EVERYTHING if d["kind"] == kind and d["metadata"]["name"] == name)


def pod(name: str) -> dict[str, Any]:
    return of("Deployment", name)["spec"]["template"]["spec"]


def container(name: str) -> dict[str, Any]:
    (only,) = pod(name)["containers"]
    return only


def common() -> dict[str, str]:
    (found,) = (one for one in CUSTOMISATION["configMapGenerator"] if one["name"] == "tapewire")
    return dict(literal.split("=", 1) for literal in found["literals"])


def in_compose(name: str) -> dict[str, Any]:
    return COMPOSE["edge-1" if name == "edge" else name]


def settings_of(service: str) -> type[ServiceSettings]:
    found = vars(import_module(f"tapewire.{service}.settings")).values()
    kinds = (one for one in found if isinstance(one, type) and issubclass(one, ServiceSettings))
    return next(kind for kind in kinds if kind is not ServiceSettings)


def variables(*kinds: type[Settings]) -> set[str]:
    fields = [one for kind in kinds for one in kind.model_fields.items()]
    return {str(field.validation_alias or f"TAPEWIRE_{name.upper()}") for name, field in fields}


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "document",
    [one for one in EVERYTHING if not one["apiVersion"].startswith(NOT_OURS)],
    ids=lambda one: f"{one['kind']}-{one['metadata']['name']}",
)
def test_a_manifest_is_what_its_schema_says(document: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_the_schemas_refuse_what_is_wrong() -> None:
    wrong = of("Deployment", "edge") | {"replicaz": 3}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_no_file_is_left_out() -> None:
    files = {path.name for path in HERE.glob("*.yaml")} - {"kustomization.yaml"}
    assert files == set(CUSTOMISATION["resources"])


def test_every_service_of_compose_is_there_or_said_to_be_elsewhere() -> None:
    deployed = {d["metadata"]["name"] for d in EVERYTHING if d["kind"] == "Deployment"}
    deployed |= {d["metadata"]["name"] for d in EVERYTHING if d["kind"] == "RabbitmqCluster"}
    wanted = {re.sub(r"-\d+$", "", name) for name in COMPOSE} - set(ELSEWHERE)
    assert deployed == wanted


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_is_told_is_a_setting_of_it(name: str) -> None:
    known = variables(settings_of(name), ServiceSettings, AuthSettings)
    known |= {f"{variable}_FILE" for variable in known} | UVICORNS
    told = {one["name"] for one in container(name).get("env", [])} | set(common())
    assert told - known == set()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_told_where_its_secrets_are_as_under_compose(name: str) -> None:
    here = {one["name"]: one["value"] for one in container(name).get("env", [])}
    there = in_compose(name)["environment"]
    files = {k: v for k, v in there.items() if k.endswith("_FILE") and v.startswith("/run/")}
    if name == "dashboard":  # signs tokens in the demo only
        assert there.get("TAPEWIRE_DEMO") == "1"
        files.clear()
    mine = {key: value for key, value in here.items() if key.endswith("_FILE")}
    assert mine == files
    assert "TAPEWIRE_DEMO" not in here
    volumes = {one["name"]: one for one in pod(name)["volumes"]}
    if files:
        assert volumes["secrets"]["secret"]["secretName"] == f"tapewire-{name}"
        mounts = {one["name"]: one for one in container(name)["volumeMounts"]}
        assert {str(Path(path).parent) for path in files.values()} == {
            mounts["secrets"]["mountPath"]
        }


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_started_and_given_time_to_drain_as_under_compose(name: str) -> None:
    there = in_compose(name)
    assert container(name)["command"] == there["command"]
    assert container(name)["image"] == there["image"].partition(":")[0]
    grace = pod(name)["terminationGracePeriodSeconds"]
    assert grace == seconds(there["stop_grace_period"])
    drain_s = settings_of(name).model_fields["drain_timeout_s"].default
    assert grace > drain_s
    if name == "edge":
        assert of("Deployment", name)["spec"]["minReadySeconds"] >= drain_s


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_listens_where_it_is_asked(name: str) -> None:
    dockerfile = (ROOT / "infra" / "images" / "Dockerfile").read_text(encoding="utf-8")
    (port,) = container(name)["ports"]
    assert f"TAPEWIRE_HTTP_PORT={port['containerPort']}" in dockerfile
    (offered,) = of("Service", name)["spec"]["ports"]
    assert offered["targetPort"] == port["name"]
    assert offered["port"] == port["containerPort"]
    probes = {
        kind: container(name)[f"{kind}Probe"]["httpGet"]
        for kind in ("startup", "liveness", "readiness")
    }
    assert {kind: probe["path"] for kind, probe in probes.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": "/readyz",
    }
    assert {probe["port"] for probe in probes.values()} == {port["name"]}


@pytest.mark.parametrize("name", [*SERVICES, "haproxy"])
def test_nothing_runs_as_root_or_writes_to_its_image(name: str) -> None:
    whole, mine = pod(name)["securityContext"], container(name)["securityContext"]
    assert whole["runAsNonRoot"] is True
    assert whole["runAsUser"] > 0
    assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
    assert mine == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod(name)["automountServiceAccountToken"] is False
    assert pod(name)["enableServiceLinks"] is False
    assert set(container(name)["resources"]["requests"]) == {"cpu", "memory"}
    dockerfile = (ROOT / "infra" / "images" / "Dockerfile").read_text(encoding="utf-8")
    if name != "haproxy":
        assert f"USER {whole['runAsUser']}:{whole['runAsGroup']}" in dockerfile


@pytest.mark.parametrize("name", [*SERVICES, "haproxy"])
def test_every_selector_selects_its_pods(name: str) -> None:
    labels = of("Deployment", name)["spec"]["template"]["metadata"]["labels"]
    selectors = [of("Deployment", name)["spec"]["selector"]["matchLabels"]]
    selectors.append(of("Service", name)["spec"]["selector"])
    if of("Deployment", name)["spec"]["replicas"] > 1:
        selectors.append(of("PodDisruptionBudget", name)["spec"]["selector"]["matchLabels"])
        spread = pod(name)["topologySpreadConstraints"]
        selectors += [one["labelSelector"]["matchLabels"] for one in spread]
    for selector in selectors:
        assert selector.items() <= labels.items()


def test_market_is_never_there_twice() -> None:
    spec = of("Deployment", "market")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_who_uses_the_broker_or_sql_may_reach_it_and_nobody_else() -> None:
    users = {grant.user for grant in GRANTS} & set(SERVICES)
    for name in SERVICES:
        labels = of("Deployment", name)["spec"]["template"]["metadata"]["labels"]
        told = {one["name"] for one in container(name).get("env", [])}
        assert ("uses-broker" in labels) == ("TAPEWIRE_AMQP_URL_FILE" in told) == (name in users)
        assert ("uses-sql" in labels) == ("DATABASE_URL_FILE" in told)
    broker = of("NetworkPolicy", "to-the-broker")["spec"]
    assert broker["podSelector"]["matchLabels"] == {"uses-broker": "yes"}
    assert of("NetworkPolicy", "to-sql")["spec"]["podSelector"]["matchLabels"] == {
        "uses-sql": "yes"
    }
    (names,) = of("NetworkPolicy", "services")["spec"]["podSelector"]["matchExpressions"]
    assert set(names["values"]) == set(SERVICES)


def test_the_broker_is_a_cluster_of_three_with_what_the_topology_needs() -> None:
    spec = of("RabbitmqCluster", "rabbitmq")["spec"]
    assert spec["replicas"] == 3
    assert spec["image"] == COMPOSE["rabbitmq"]["image"]
    assert "cluster_partition_handling = pause_minority" in spec["rabbitmq"]["additionalConfig"]
    # The queues come when all three are there (docs/operations.md, "A cluster").
    assert "definitions" not in spec["rabbitmq"]["additionalConfig"]
    enabled = (ROOT / "infra" / "rabbitmq" / "enabled_plugins").read_text(encoding="utf-8")
    by_the_operator = {"rabbitmq_management", "rabbitmq_prometheus"}
    needed = set(re.findall(r"rabbitmq_\w+", enabled)) - by_the_operator
    assert set(spec["rabbitmq"]["additionalPlugins"]) == needed


def rules(path: Path) -> list[str]:
    """The proxy's routes and timeouts, without where servers are."""
    lines = [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    kinds = ("use_backend", "default_backend", "balance", "timeout", "http-request", "http-check")
    kinds += ("default-server", "option", "hard-stop-after", "hold", "retr")
    return [line for line in lines if line.startswith(kinds)]


def test_haproxys_rules_are_those_of_compose() -> None:
    mine, theirs = rules(HERE / "haproxy.cfg"), rules(ROOT / "infra" / "haproxy" / "haproxy.cfg")
    mine.remove("http-request set-log-level silent")  # of the probes' own frontend
    assert mine == theirs


def test_haproxy_asks_services_that_are_there() -> None:
    text = (HERE / "haproxy.cfg").read_text(encoding="utf-8")
    namespace = CUSTOMISATION["namespace"]
    found = set(re.findall(rf"(\w+)\.{namespace}\.svc\.cluster\.local:(\d+)", text))
    assert found == {
        (name, str(of("Service", name)["spec"]["ports"][0]["port"])) for name in SERVICES
    }
    backends = set(re.findall(r"use_backend (\S+)|default_backend (\S+)", text))
    assert {a or b for a, b in backends} == set(re.findall(r"^backend (\S+)", text, re.MULTILINE))
    bound = set(re.findall(r"bind :(\d+)", text))
    assert {str(one["containerPort"]) for one in container("haproxy")["ports"]} == bound
    assert container("haproxy")["image"] == COMPOSE["haproxy"]["image"]


def test_kustomize_puts_it_together() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("NOT TESTED: kubectl is not installed")
    done = subprocess.run(
        [kubectl, "kustomize", HERE], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    rendered = list(yaml.safe_load_all(done.stdout))
    names = {(one["kind"], one["metadata"]["name"]) for one in rendered}
    assert {(one["kind"], one["metadata"]["name"]) for one in EVERYTHING} <= names
    maps = {name for kind, name in names if kind == "ConfigMap"}
    for one in rendered:
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == "tapewire"
        if one["kind"] == "Deployment":
            (only,) = one["spec"]["template"]["spec"]["containers"]
            assert {f["configMapRef"]["name"] for f in only.get("envFrom", [])} <= maps
