"""A training run as the Kubernetes Job that is asked for.

Its pod trains one stage under torchrun, then puts the newest checkpoint into the model repository
as the next version. A pod that is lost is followed by another, which goes on where the run was
left; so the run's folder is on a volume that outlives pods.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath

from kubernetes import client

LABEL = "app.kubernetes.io/component"
COMPONENT = "training"
NAME = "app.kubernetes.io/instance"
USER = 1000  # of the image; the one that Triton's pods read the repository as
TRAIN, PUBLISH = "train", "publish"  # containers, in their order
GPU = "nvidia.com/gpu"
# For the step that a training is in when its pod is asked to end, and a checkpoint of what it has;
# torchrun alone would wait for 30 s, as Kubernetes would.
STOP_WITHIN_S = 600


@dataclass(frozen=True, slots=True)
class Volume:
    """A PersistentVolumeClaim, and where the pod finds it."""

    claim: str
    path: PurePosixPath


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """One stage of one run. start, data, run: folders in the pod, on `work`.

    processes: of torchrun, each with a GPU where `gpus` says so. repository: Triton's, at whose
    path the chart mounts the same claim. retries: pods that may follow a failed one.
    options: further ones of `training.train`.
    """

    name: str
    stage: str
    image: str
    start: str
    data: str
    run: str
    work: Volume
    repository: Volume
    processes: int = 1
    gpus: bool = True
    cpu: str = "4"
    memory: str = "32Gi"
    shared_memory: str = "8Gi"
    retries: int = 6
    kept: int = 3
    options: tuple[str, ...] = ()

    def manifest(self) -> client.V1Job:
        """Return what the cluster is given."""
        labels = {LABEL: COMPONENT, NAME: self.name}
        spec = client.V1PodSpec(
            restart_policy="Never",  # so that each attempt's log stays
            termination_grace_period_seconds=STOP_WITHIN_S + 15,  # torchrun has to end, too
            automount_service_account_token=False,
            enable_service_links=False,
            security_context=client.V1PodSecurityContext(
                run_as_non_root=True,
                run_as_user=USER,
                run_as_group=USER,
                fs_group=USER,
                seccomp_profile=client.V1SeccompProfile(type="RuntimeDefault"),
            ),
            # One after the other: nothing is published of a training that failed.
            init_containers=[self._container(TRAIN, self._train(), self._all_resources())],
            containers=[self._container(PUBLISH, self._publish(), self._resources())],
            volumes=[
                *(self._volume(name, volume) for name, volume in self._volumes().items()),
                _memory("shared-memory", self.shared_memory),
                client.V1Volume(name="scratch", empty_dir=client.V1EmptyDirVolumeSource()),
            ],
        )
        return client.V1Job(
            api_version="batch/v1",
            kind="Job",
            metadata=client.V1ObjectMeta(name=self.name, labels=labels),
            spec=client.V1JobSpec(
                backoff_limit=self.retries,
                template=client.V1PodTemplateSpec(
                    metadata=client.V1ObjectMeta(labels=labels), spec=spec
                ),
            ),
        )

    def _train(self) -> list[str]:
        return [
            *("torchrun", "--standalone", f"--nproc-per-node={self.processes}"),
            f"--shutdown-timeout={STOP_WITHIN_S}",
            *("-m", "training.train", self.stage),
            *("--from", self.start, "--data", self.data, "--to", self.run),
            *self.options,
        ]

    def _publish(self) -> list[str]:
        to = str(self.repository.path)
        return ["python", "-m", "training.publish", self.run, "--to", to, f"--kept={self.kept}"]

    def _container(
        self, name: str, command: list[str], resources: client.V1ResourceRequirements
    ) -> client.V1Container:
        return client.V1Container(
            name=name,
            image=self.image,
            command=command,
            resources=resources,
            security_context=client.V1SecurityContext(
                allow_privilege_escalation=False,
                read_only_root_filesystem=True,
                capabilities=client.V1Capabilities(drop=["ALL"]),
            ),
            volume_mounts=[
                *(
                    client.V1VolumeMount(name=name, mount_path=str(volume.path))
                    for name, volume in self._volumes().items()
                ),
                client.V1VolumeMount(name="shared-memory", mount_path="/dev/shm"),
                client.V1VolumeMount(name="scratch", mount_path="/tmp"),
            ],
        )

    def _volumes(self) -> dict[str, Volume]:
        return {"work": self.work, "model-repository": self.repository}

    def _volume(self, name: str, volume: Volume) -> client.V1Volume:
        source = client.V1PersistentVolumeClaimVolumeSource(claim_name=volume.claim)
        return client.V1Volume(name=name, persistent_volume_claim=source)

    def _resources(self) -> client.V1ResourceRequirements:
        """Return what trying out a checkpoint takes: no GPU, which the training had."""
        limits = {"memory": self.memory}
        return client.V1ResourceRequirements(requests=self._wanted(), limits=limits)

    def _wanted(self) -> dict[str, str]:
        return {"cpu": self.cpu, "memory": self.memory}

    def _all_resources(self) -> client.V1ResourceRequirements:
        if not self.gpus:
            return self._resources()
        limits = {"memory": self.memory, GPU: str(self.processes)}
        return client.V1ResourceRequirements(requests=self._wanted(), limits=limits)


def _memory(name: str, size: str) -> client.V1Volume:
    source = client.V1EmptyDirVolumeSource(medium="Memory", size_limit=size)
    return client.V1Volume(name=name, empty_dir=source)
