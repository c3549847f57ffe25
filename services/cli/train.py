"""`soundflow train`: training runs as Jobs of a Kubernetes cluster."""

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.errors import FAILED, CliError, told_plainly

if TYPE_CHECKING:
    from training.job import Jobs, Seen

app = typer.Typer(no_args_is_help=True, help="Train on a Kubernetes cluster, as a Job.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the Job.")]
Namespace = Annotated[
    str, typer.Option(help="Where the platform's model repository is [the context's].")
]
Context = Annotated[str, typer.Option(help="Of kubectl's configuration [the current one].")]


@app.command(
    epilog="Example: soundflow train submit night-1 streaming --image registry.example.com/"
    "soundflow/training:0.1.0 --from runs/start --data corpora/call-centre --work-claim training "
    "--repository-claim models"
)
def submit(
    name: Name,
    stage: Annotated[
        str, typer.Argument(metavar="STAGE", help="As training/README.md lists them.")
    ],
    image: Annotated[str, typer.Option(help="Built from docker/training.Dockerfile.")],
    start: Annotated[str, typer.Option("--from", help="The checkpoint to begin with, in /work.")],
    data: Annotated[str, typer.Option(help="The corpus, in /work.")],
    work_claim: Annotated[
        str, typer.Option(help="The claim that is /work: corpora, checkpoints, runs.")
    ],
    repository_claim: Annotated[
        str, typer.Option(help="The claim that triton.modelRepository.claim names.")
    ],
    run: Annotated[str, typer.Option(help="The run's folder, in /work [runs/NAME].")] = "",
    gpus: Annotated[int, typer.Option(min=0, help="One process each; 0: one, on the CPU.")] = 1,
    cpu: Annotated[str, typer.Option(help="Of the pod.")] = "4",
    memory: Annotated[str, typer.Option(help="Of the pod.")] = "32Gi",
    retries: Annotated[int, typer.Option(min=0, help="Pods that may follow a lost one.")] = 6,
    option: Annotated[
        list[str] | None,
        typer.Option(help="Of training.train, as in --option=--steps=2000; may be repeated."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Watch it to its end.")] = False,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Train one stage, then put its newest checkpoint into the model repository.

    The Job's log ends with the version's number; `soundflow rollout` then has the servers change
    over to it.
    """
    with told_plainly():
        jobs = _jobs(namespace, context)
        from training.job_manifest import TrainingJob, Volume
        from training.stages import STAGES

        if stage not in STAGES:
            raise CliError(f"there is no stage {stage!r}; there are {', '.join(STAGES)}")
        work = PurePosixPath("/work")
        job = TrainingJob(
            name=name,
            stage=stage,
            image=image,
            start=str(work / start),
            data=str(work / data),
            run=str(work / (run or f"runs/{name}")),
            work=Volume(work_claim, work),
            repository=Volume(repository_claim, PurePosixPath("/model_repo")),
            processes=gpus or 1,
            gpus=gpus > 0,
            cpu=cpu,
            memory=memory,
            retries=retries,
            options=tuple(option or ()),
        )
        jobs.submit(job)
        typer.echo(f"{name}: submitted to {jobs.namespace}")
        if follow:
            _follow(jobs, name)


@app.command(epilog="Example: soundflow train status night-1 --follow")
def status(
    name: Name,
    follow: Annotated[bool, typer.Option("--follow", help="Watch it to its end.")] = False,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Say how far a Job is; with --follow whenever that changes. Exit status 1 where it failed."""
    with told_plainly():
        jobs = _jobs(namespace, context)
        if follow:
            _follow(jobs, name)
        else:
            _tell(name, jobs.look(name))


@app.command(epilog="Example: soundflow train logs night-1")
def logs(name: Name, namespace: Namespace = "", context: Context = "") -> None:
    """Print what the newest pod of a Job says, to its end."""
    with told_plainly():
        for line in _jobs(namespace, context).logs(name):
            typer.echo(line)


def _follow(jobs: "Jobs", name: str) -> None:
    for seen in jobs.watch(name):
        _tell(name, seen)


def _tell(name: str, seen: "Seen") -> None:
    from training.job import State

    typer.echo(f"{name}: {seen}")
    if seen.state is State.FAILED:
        raise typer.Exit(FAILED)


def _jobs(namespace: str, context: str) -> "Jobs":
    try:
        from training.job import Jobs
    except ImportError as error:
        raise CliError(f"training is done from a checkout (make install): {error}") from error
    return Jobs.reach(namespace, context)
