"""Training runs as Jobs of a Kubernetes cluster: submitted, watched, and read while they run."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError

from soundflow.checkpoint import CheckpointError
from training.job_manifest import PUBLISH, TRAIN, TrainingJob

# A stream of events begins anew so often: gone on with for hours, it is refused, as the cluster has
# forgotten where it was.
STREAM_S = 300
OF_JOB = "batch.kubernetes.io/job-name"  # the cluster labels a Job's pods so


class ClusterError(CheckpointError):
    """What the cluster refused, or could not be asked."""


class State(StrEnum):
    """How far a Job is."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Seen:
    """A Job as it is now. failed: pods that ended badly. why: the cluster's word for its end."""

    state: State
    failed: int = 0
    why: str = ""

    @property
    def over(self) -> bool:
        """Nothing more happens."""
        return self.state in (State.COMPLETE, State.FAILED)

    def __str__(self) -> str:
        failed = f", {self.failed} attempts failed" if self.failed else ""
        return f"{self.state}{failed}" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True, slots=True)
class Jobs:
    """The Jobs of one namespace. Every call raises ClusterError."""

    namespace: str
    api: client.ApiClient

    @classmethod
    def reach(cls, namespace: str = "", context: str = "") -> Self:
        """Reach the cluster that kubectl would. "" = the current context, its own namespace."""
        try:
            api = config.new_client_from_config(context=context or None)
            contexts, current = config.list_kube_config_contexts()
        except (ConfigException, OSError) as error:
            raise ClusterError(f"no cluster is configured: {error}") from error
        chosen = next((each for each in contexts if each["name"] == context), current)
        return cls(namespace or chosen["context"].get("namespace", "default"), api)

    def submit(self, job: TrainingJob) -> None:
        """Make a Job."""
        with _told(f"job {job.name}"):
            self._batch.create_namespaced_job(
                self.namespace, job.manifest(), field_validation="Strict"
            )

    def look(self, name: str) -> Seen:
        """Return how far a Job is."""
        with _told(f"job {name}"):
            return _seen(self._batch.read_namespaced_job(name, self.namespace))

    def watch(self, name: str) -> Iterator[Seen]:
        """Yield how far a Job is, now and whenever that changes, to its end."""
        last = self.look(name)
        yield last
        with _told(f"job {name}"):
            while not last.over:
                for event in watch.Watch().stream(
                    self._batch.list_namespaced_job,
                    self.namespace,
                    field_selector=f"metadata.name={name}",
                    timeout_seconds=STREAM_S,
                ):
                    if event["type"] == "DELETED":
                        raise ClusterError(f"job {name}: it was deleted")
                    if (seen := _seen(event["object"])) != last:
                        yield (last := seen)
                    if last.over:
                        return
                if (seen := self.look(name)) != last:  # or it is there no more
                    yield (last := seen)

    def logs(self, name: str) -> Iterator[str]:
        """Yield what the newest pod of a Job says, line by line, to its end."""
        with _told(f"job {name}"):
            pod = self._newest_pod(name)
            for container in (TRAIN, PUBLISH):
                if not self._started(pod, container):
                    return
                yield from watch.Watch().stream(
                    self._core.read_namespaced_pod_log, pod, self.namespace, container=container
                )

    def _newest_pod(self, name: str) -> str:
        pods = self._core.list_namespaced_pod(self.namespace, label_selector=f"{OF_JOB}={name}")
        if not pods.items:
            raise ClusterError(f"job {name} has no pod yet: {self.look(name)}")
        newest = max(pods.items, key=lambda pod: pod.metadata.creation_timestamp)
        return str(newest.metadata.name)

    def _started(self, pod: str, container: str) -> bool:
        """Wait until a container of a pod has begun; False where it never will."""
        while True:
            for event in watch.Watch().stream(
                self._core.list_namespaced_pod,
                self.namespace,
                field_selector=f"metadata.name={pod}",
                timeout_seconds=STREAM_S,
            ):
                status = event["object"].status
                if _begun(status, container):
                    return True
                if event["type"] == "DELETED" or status.phase in ("Succeeded", "Failed"):
                    return False
            self._core.read_namespaced_pod(pod, self.namespace)  # or it is there no more

    @property
    def _batch(self) -> Any:  # the client has no types
        return client.BatchV1Api(self.api)

    @property
    def _core(self) -> Any:
        return client.CoreV1Api(self.api)


def _begun(status: Any, container: str) -> bool:
    """Whether a container of a pod runs, or has run."""
    each = (*(status.init_container_statuses or ()), *(status.container_statuses or ()))
    states = (one.state for one in each if one.name == container)
    return any(state.running or state.terminated for state in states)


def _seen(job: Any) -> Seen:
    status = job.status
    ends = {"Complete": State.COMPLETE, "Failed": State.FAILED}
    for condition in status.conditions or ():
        if condition.type in ends and condition.status == "True":
            return Seen(ends[condition.type], status.failed or 0, condition.message or "")
    return Seen(State.RUNNING if status.active else State.WAITING, status.failed or 0)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Say in the cluster's own words what it refused."""
    try:
        yield
    except ApiException as error:
        raise ClusterError(f"{what}: {error.reason}: {_message(error)}") from error
    except HTTPError as error:
        raise ClusterError(f"{what}: the cluster does not answer: {error}") from error


def _message(error: ApiException) -> str:
    """Return the sentence of the cluster's answer; what is between may answer with anything."""
    try:
        return str(json.loads(error.body or "")["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.body or "")
