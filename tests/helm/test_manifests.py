"""What must hold of the chart's manifests however it is installed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from helm.check import CHART, ROOT, Manifest, render, variants
from services.cli.main import app

pytestmark = pytest.mark.usefixtures("helm")

SERVICES = {"ingestion", "perception", "decision", "response"}
FULL = next(path for path in variants() if path.name.startswith("full"))

RUNBOOKS = yaml.safe_load((CHART / "values.yaml").read_text())["monitoring"]["rules"]["runbooks"]

TRITON = (ROOT / "docker" / "triton.Dockerfile").read_text()

COMPONENT = "app.kubernetes.io/component"


@pytest.fixture(params=variants(), ids=lambda path: path.stem)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    values: Path = request.param
    return render("--values", str(values))


def of_kind(manifests: list[Manifest], *kinds: str) -> dict[str, Manifest]:
    """Return the manifests of some kinds by their component."""
    return {
        manifest["metadata"]["labels"].get(COMPONENT, ""): manifest
        for manifest in manifests
        if manifest["kind"] in kinds
    }


def workloads(manifests: list[Manifest]) -> dict[str, Manifest]:
    return of_kind(manifests, "Deployment", "StatefulSet", "Job")


def pods(manifests: list[Manifest]) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Yield each workload's labels and the spec of its pods."""
    for workload in workloads(manifests).values():
        template = workload["spec"]["template"]
        yield template["metadata"]["labels"], template["spec"]


def matching(manifests: list[Manifest], selector: dict[str, str]) -> list[str]:
    """Return the components whose pods a selector finds."""
    return [
        labels[COMPONENT] for labels, _ in pods(manifests) if selector.items() <= labels.items()
    ]


def test_all_parts_are_there(manifests: list[Manifest]) -> None:
    assert set(workloads(manifests)) - {"topics"} == SERVICES | {"encoder", "decoder"}


def test_no_pod_has_rights_that_it_does_not_need(manifests: list[Manifest]) -> None:
    for _, pod in pods(manifests):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}


def test_every_container_says_what_it_takes(manifests: list[Manifest]) -> None:
    for _, pod in pods(manifests):
        for container in pod["containers"]:
            assert container["resources"]["limits"]["memory"]
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()


def test_probes_and_services_name_ports_that_exist(manifests: list[Manifest]) -> None:
    ports: dict[str, set[str]] = {}
    for labels, pod in pods(manifests):
        for container in pod["containers"]:
            names = {port["name"] for port in container.get("ports", ())}
            ports[labels[COMPONENT]] = names
            probes = [probe for key, probe in container.items() if key.endswith("Probe")]
            assert {probe["httpGet"]["port"] for probe in probes} <= names
            assert len(probes) == (0 if labels[COMPONENT] == "topics" else 3)
    for service in (manifest for manifest in manifests if manifest["kind"] == "Service"):
        [component] = matching(manifests, service["spec"]["selector"])
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports[component]


def test_budgets_and_scalers_are_about_one_component(manifests: list[Manifest]) -> None:
    for component, budget in of_kind(manifests, "PodDisruptionBudget").items():
        assert matching(manifests, budget["spec"]["selector"]["matchLabels"]) == [component]
    deployments = of_kind(manifests, "Deployment")
    scalers = of_kind(manifests, "HorizontalPodAutoscaler")
    for component, deployment in deployments.items():
        # The two would take turns in setting the number.
        assert ("replicas" in deployment["spec"]) == (component not in scalers)
        if component in scalers:
            target = scalers[component]["spec"]["scaleTargetRef"]
            assert target["name"] == deployment["metadata"]["name"]


def test_selectors_never_change_with_a_release(manifests: list[Manifest]) -> None:
    for workload in of_kind(manifests, "Deployment", "StatefulSet").values():
        labels = workload["spec"]["selector"]["matchLabels"]
        assert not {"helm.sh/chart", "app.kubernetes.io/version"} & labels.keys()


def test_the_topics_job_needs_nothing_that_comes_later(manifests: list[Manifest]) -> None:
    for job in of_kind(manifests, "Job").values():
        assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
        pod = job["spec"]["template"]["spec"]
        assert "serviceAccountName" not in pod
        assert all("emptyDir" in one or one["name"] == "kafka-ca" for one in pod["volumes"])


def test_ingestion_is_given_time_to_drain() -> None:
    pod = workloads(render("--values", str(FULL)))["ingestion"]["spec"]["template"]["spec"]
    # 1,800 s for callers, 5 s for the rest of what they are told, 5 s before SIGTERM.
    assert pod["terminationGracePeriodSeconds"] > 1810
    assert pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "5"]


@pytest.mark.parametrize(
    ("secret", "readers"),
    [
        ("chat", {"encoder", "decoder"}),
        ("redis", SERVICES),
        ("kafka-user", SERVICES | {"topics"}),
    ],
)
def test_a_secret_reaches_those_who_read_it_and_nobody_else(secret: str, readers: set[str]) -> None:
    holders = {
        labels[COMPONENT]
        for labels, pod in pods(render("--values", str(FULL)))
        for entry in pod["containers"][0]["env"]
        if entry.get("valueFrom", {}).get("secretKeyRef", {}).get("name") == secret
    }
    assert holders == readers


def test_the_file_of_authorities_is_where_settings_say_it_is() -> None:
    for labels, pod in pods(render("--values", str(FULL))):
        [container] = pod["containers"]
        given = {entry["name"]: entry.get("value") for entry in container["env"]}
        mounted = [m["mountPath"] for m in container["volumeMounts"] if m["name"] == "kafka-ca"]
        if labels[COMPONENT] in ("encoder", "decoder"):
            assert not mounted and "SOUNDFLOW_KAFKA_CA_FILE" not in given
            continue
        [volume] = [one for one in pod["volumes"] if one["name"] == "kafka-ca"]
        [item] = volume["secret"]["items"]
        assert volume["secret"]["secretName"] == "kafka-cluster-ca"
        assert given["SOUNDFLOW_KAFKA_CA_FILE"] == f"{mounted[0]}/{item['path']}"


def test_weights_are_looked_for_where_they_are(manifests: list[Manifest]) -> None:
    in_image = re.search(r"SOUNDFLOW_MODELS=(\S+)$", TRITON, re.MULTILINE)
    assert in_image
    for name, server in of_kind(manifests, "StatefulSet").items():
        [container] = server["spec"]["template"]["spec"]["containers"]
        given = {entry["name"]: entry.get("value") for entry in container["env"]}
        mounted = [m["mountPath"] for m in container["volumeMounts"] if m["name"] == "weights"]
        assert [given["SOUNDFLOW_MODELS"]] == (mounted or [in_image[1]]), name


def test_network_policies_let_in_who_must_come_in() -> None:
    policies = of_kind(render("--values", str(FULL)), "NetworkPolicy")
    assert set(policies) == SERVICES | {"encoder", "decoder"}
    open_ports = {
        component: {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        for component, policy in policies.items()
    }
    assert open_ports["ingestion"] == {"http", "grpc", "delivery", "admin"}
    assert open_ports["decoder"] == {"grpc", "metrics"}
    assert open_ports["decision"] == {"admin"}


def test_no_variable_is_set_twice_or_by_kubernetes(manifests: list[Manifest]) -> None:
    for _, pod in pods(manifests):
        assert pod["enableServiceLinks"] is False
        names = [entry["name"] for container in pod["containers"] for entry in container["env"]]
        assert len(names) == len(set(names))


def test_rules_and_dashboards_arrive_as_they_are_in_their_files() -> None:
    manifests = render("--values", str(FULL))
    [rules] = [m["spec"] for m in manifests if m["kind"] == "PrometheusRule"]
    written = yaml.safe_load((CHART / "alerts" / "soundflow.yaml").read_text())
    for group in written["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                place = rule["annotations"]["runbook_url"].removeprefix("README.md")
                rule["annotations"]["runbook_url"] = RUNBOOKS + place
    assert rules == written
    [dashboards] = [m["data"] for m in manifests if m["kind"] == "ConfigMap"]
    overview = json.loads(dashboards["soundflow-overview.json"])
    assert overview == json.loads((CHART / "dashboards" / "overview.json").read_text())


def test_commands_are_ones_that_the_image_has() -> None:
    found = workloads(render("--values", str(FULL)))
    for service in SERVICES:
        [container] = found[service]["spec"]["template"]["spec"]["containers"]
        assert container["command"][:2] == ["python", "-m"]
        assert (ROOT / f"{container['command'][2].replace('.', '/')}.py").exists()
    [container] = found["topics"]["spec"]["template"]["spec"]["containers"]
    soundflow, *arguments = container["command"]
    assert soundflow == "soundflow"
    # What it does not know, it refuses before it looks at --help.
    assert CliRunner().invoke(app, [*arguments, "--help"]).exit_code == 0
    assert CliRunner().invoke(app, [*arguments, "--unknown", "--help"]).exit_code != 0
