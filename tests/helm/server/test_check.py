"""The chart before a real API server, where one was built on this machine."""

import copy
from collections.abc import Iterator

import pytest

from helm.check import CheckFailed, Manifest, render, variants
from helm.server.build import locate, version
from helm.server.check import api_server, apply, check_chart
from helm.server.servers import ApiServer
from stack.errors import Missing


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, helm: None) -> Iterator[ApiServer]:
    try:
        locate()
    except Missing as missing:  # building takes minutes, and not every machine has Go
        pytest.skip(str(missing))
    with api_server(tmp_path_factory.mktemp("kubernetes")) as server:
        yield server


@pytest.fixture(scope="module")
def deployment(server: ApiServer) -> Manifest:
    values = ("--values", str(variants()[0]))
    rendered = render(*values, kubernetes=version())
    return next(manifest for manifest in rendered if manifest["kind"] == "Deployment")


def test_an_api_server_takes_every_variant_without_a_warning(server: ApiServer) -> None:
    told = list(check_chart(server))
    assert len(told) == len(variants())
    assert all(version() in line for line in told)


def test_it_refuses_what_no_schema_can_know(server: ApiServer, deployment: Manifest) -> None:
    apply(server, [deployment])
    other = copy.deepcopy(deployment)
    other["spec"]["template"]["metadata"]["labels"] = {"app": "another"}
    with pytest.raises(CheckFailed, match="selector"):
        apply(server, [other])


def test_it_warns_of_rights_that_a_pod_should_not_have(
    server: ApiServer, deployment: Manifest
) -> None:
    other = copy.deepcopy(deployment)
    del other["spec"]["template"]["spec"]["containers"][0]["securityContext"]
    with pytest.raises(CheckFailed, match="violate PodSecurity"):
        apply(server, [other])


def test_it_refuses_a_field_that_is_not_there(server: ApiServer, deployment: Manifest) -> None:
    other = copy.deepcopy(deployment)
    other["spec"]["replica"] = 2
    with pytest.raises(CheckFailed, match="replica"):
        apply(server, [other])
