"""A training run as a Kubernetes Job: what is asked for, and what a cluster says to it."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pytest
from kubernetes import client
from torch.distributed.run import get_args_parser

from helm.check import KUBERNETES, validate
from helm.server.build import locate
from helm.server.check import NAMESPACE, api_server
from stack.errors import Missing
from training.job import ClusterError, Jobs, State
from training.job_manifest import GPU, TrainingJob, Volume
from training.stages import STAGES

JOB = TrainingJob(
    name="night-1",
    stage="streaming",
    image="registry.example.com/soundflow/training:0.1.0",
    start="/work/start",
    data="/work/corpus",
    run="/work/runs/night-1",
    work=Volume("training", PurePosixPath("/work")),
    repository=Volume("models", PurePosixPath("/model_repo")),
    processes=2,
    options=("--steps=2000",),
)


def test_every_supported_kubernetes_takes_it() -> None:
    api: Any = client.ApiClient()
    manifest = api.sanitize_for_serialization(JOB.manifest())
    for version in KUBERNETES:
        validate(manifest, version)


def test_nothing_is_published_before_training_is_done() -> None:
    job: Any = JOB.manifest()
    pod = job.spec.template.spec
    [train], [publish] = pod.init_containers, pod.containers
    assert train.command[:3] == ["torchrun", "--standalone", "--nproc-per-node=2"]
    assert train.command[-1] == "--steps=2000"
    assert JOB.stage in STAGES and JOB.stage in train.command
    assert train.resources.limits[GPU] == "2"
    assert GPU not in publish.resources.limits
    assert JOB.run in publish.command
    mounts = {mount.name: mount.mount_path for mount in publish.volume_mounts}
    claims = {
        volume.name: volume.persistent_volume_claim.claim_name
        for volume in pod.volumes
        if volume.persistent_volume_claim
    }
    assert claims == {"work": "training", "model-repository": "models"}
    assert publish.command[publish.command.index("--to") + 1] == mounts["model-repository"]


def test_a_training_that_is_asked_to_end_has_time_for_a_checkpoint() -> None:
    job: Any = JOB.manifest()
    pod = job.spec.template.spec
    launcher, *given = pod.init_containers[0].command
    known = get_args_parser().parse_args(given)
    assert (launcher, known.module, known.training_script) == ("torchrun", True, "training.train")
    assert 300 < known.shutdown_timeout < pod.termination_grace_period_seconds


def test_a_cluster_that_is_not_there_is_told() -> None:
    configuration = client.Configuration(host="http://127.0.0.1:1")
    configuration.retries = 0
    jobs = Jobs("calls", client.ApiClient(configuration))
    with pytest.raises(ClusterError, match="job night-1: the cluster does not answer"):
        jobs.submit(JOB)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    try:
        locate()
    except Missing as missing:  # building takes minutes, and not every machine has Go
        pytest.skip(str(missing))
    with api_server(tmp_path_factory.mktemp("kubernetes")) as server:
        configuration = client.Configuration(host=server.url)
        configuration.ssl_ca_cert = str(server.certificate)
        configuration.api_key = {"authorization": f"Bearer {server.token}"}
        yield Jobs(NAMESPACE, client.ApiClient(configuration))


def test_an_api_server_takes_it_and_tells_how_far_it_is(jobs: Jobs) -> None:
    jobs.submit(JOB)
    with pytest.raises(ClusterError, match="already exists"):
        jobs.submit(JOB)
    with pytest.raises(ClusterError, match="night-1 has no pod yet: waiting"):
        list(jobs.logs("night-1"))
    with pytest.raises(ClusterError, match="not found"):
        jobs.look("night-2")
    seen = jobs.watch("night-1")
    assert next(seen).state is State.WAITING
    play_controller(jobs, active=1)
    assert next(seen).state is State.RUNNING
    play_controller(jobs, active=0, failed=1, reason="BackoffLimitExceeded")
    last = list(seen)[-1]
    assert (last.state, last.failed, last.why) == (State.FAILED, 1, "no pod is left to try")


def play_controller(jobs: Jobs, *, active: int, failed: int = 0, reason: str = "") -> None:
    """Write what the Job's controller, which does not run here, would."""
    ends = [
        {"type": kind, "status": "True", "reason": reason, "message": "no pod is left to try"}
        for kind in ("FailureTarget", "Failed")
        if reason
    ]
    status = {"active": active, "failed": failed, "conditions": ends}
    if not failed:
        status["startTime"] = "2026-11-30T00:00:00Z"
    client.BatchV1Api(jobs.api).patch_namespaced_job_status(
        "night-1", jobs.namespace, {"status": status}
    )
