"""The commands of `soundflow`. Each imports what it needs when it runs, so that help is quick."""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli import checkpoint, topics, train, training
from services.cli.errors import told_plainly
from soundflow.interaction import Ability, SessionSpec

if TYPE_CHECKING:
    from soundflow.audio import AudioFormat

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
models = typer.Typer(no_args_is_help=True, help="Fetch, list and check the models' weights.")
app.add_typer(models, name="models")
app.add_typer(checkpoint.app, name="checkpoint")
app.add_typer(topics.app, name="topics")
app.add_typer(train.app, name="train")
training.register(app)

Instruction = Annotated[
    str, typer.Option("--instruction", "-i", help="What to do, in your own words.")
]
Abilities = Annotated[
    list[Ability] | None,
    typer.Option(
        "--ability", "-a", metavar="NAME", help=f"{', '.join(Ability)}; may be given several times."
    ),
]
Language = Annotated[
    str,
    typer.Option(help="What is spoken, as in `en` or `es`; found out from the audio if not given."),
]
SplitChannels = Annotated[
    bool, typer.Option("--split-channels", help="Hear left and right apart, one session each.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one event a line, as JSON, and nothing else.")
]
Model = Annotated[
    str,
    typer.Option(
        help="cascade or small; or the folder of a checkpoint; or null, to try the platform alone."
    ),
]
ModelNames = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"soundflow {version('soundflow')}")
        raise typer.Exit


@app.callback()
def soundflow(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version, and end."
        ),
    ] = False,
) -> None:
    """Listen to live audio without end, decide every 400 ms whether to speak, and answer."""


@app.command(epilog="Example: soundflow listen call.wav -i 'Transcribe, and tell me of alarms'")
def listen(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|-|mic", help="An audio file, raw samples on standard input, or the mic."
        ),
    ],
    instruction: Instruction = "",
    ability: Abilities = None,
    server: Annotated[
        list[str] | None,
        typer.Option(
            envvar="SOUNDFLOW_SERVER",
            show_default="http://127.0.0.1:8080",
            help="Address of the running platform; further ones, to go on at if it is lost.",
        ),
    ] = None,
    language: Language = "",
    split_channels: SplitChannels = False,
    as_json: AsJson = False,
    encoding: Annotated[
        str | None, typer.Option(help="Of `-`: pcm_s16le (if not given), pcm_f32le, mulaw, alaw.")
    ] = None,
    rate: Annotated[
        int | None, typer.Option(help="Of `-` and `mic`, in Hz; 16000 if not given.")
    ] = None,
    channels: Annotated[int | None, typer.Option(help="Of `-` and `mic`; 1 if not given.")] = None,
) -> None:
    """Play live audio to a running platform, and show what it decides and says.

    A file is played at real speed. Ctrl-C ends the audio, and the rest is waited for; a second one
    leaves at once. A connection that breaks is made again, and nothing is lost by it.
    """
    with told_plainly():
        from services.cli.listen import run_listen
        from services.cli.server import DEFAULT_SERVER

        run_listen(
            source,
            server or [DEFAULT_SERVER],
            _spec(instruction, ability, language),
            raw_format=_raw_format(source, encoding, rate, channels),
            split_channels=split_channels,
            as_json=as_json,
        )


@app.command(
    epilog="Example: soundflow task meeting.mp3 --ability transcribe --json > meeting.jsonl"
)
def task(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An audio or video file.")],
    instruction: Instruction = "",
    ability: Abilities = None,
    server: Annotated[
        str, typer.Option(help="Address of a running platform that is to do it.")
    ] = "",
    model: Annotated[
        str | None,
        typer.Option(
            show_default="cascade",
            help="As `serve` has it; a platform at --server that has another one refuses.",
        ),
    ] = None,
    language: Language = "",
    split_channels: SplitChannels = False,
    as_json: AsJson = False,
) -> None:
    """Do the same with a finished file, faster than real time, in this process or on a server."""
    with told_plainly():
        from services.cli.task import run_task_command

        run_task_command(
            file,
            server,
            model,
            _spec(instruction, ability, language),
            split_channels=split_channels,
            as_json=as_json,
        )


@app.command(epilog="Example: soundflow serve --http-port 8081 --max-sessions 8")
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on [SOUNDFLOW_HOST, else 127.0.0.1].")
    ] = None,
    http_port: Annotated[
        int | None,
        typer.Option(help="For WebSocket, HTTP and the console [SOUNDFLOW_HTTP_PORT, else 8080]."),
    ] = None,
    grpc_port: Annotated[
        int | None, typer.Option(help="For gRPC [SOUNDFLOW_GRPC_PORT, else 50051].")
    ] = None,
    max_sessions: Annotated[
        int | None, typer.Option(help="More are refused [SOUNDFLOW_MAX_SESSIONS, else 64].")
    ] = None,
    model: Model = "cascade",
) -> None:
    """Run the whole platform in this process, with the console in the browser. Ctrl-C ends it."""
    with told_plainly():
        from services.cli.serve import run_serve
        from services.cli.settings import read_settings
        from services.ingestion.config import IngestionConfig

        given = {
            "host": host,
            "http_port": http_port,
            "grpc_port": grpc_port,
            "max_sessions": max_sessions,
        }
        run_serve(model, read_settings(IngestionConfig, given))


@app.command(epilog="Example: soundflow rollout 3 --decoders decoder.calls.svc:8001")
def rollout(
    what: Annotated[
        str,
        typer.Argument(
            metavar="VERSION|CHECKPOINT",
            help="A version that is in the servers' repository, or a checkpoint to put there.",
        ),
    ],
    repository: Annotated[
        Path | None, typer.Option(help="Where a checkpoint is put as the next version.")
    ] = None,
    encoders: Annotated[
        str | None,
        typer.Option(help="host:port, several with commas [SOUNDFLOW_ENCODER_ADDRESSES]."),
    ] = None,
    decoders: Annotated[
        str | None,
        typer.Option(help="host:port, several with commas [SOUNDFLOW_DECODER_ADDRESSES]."),
    ] = None,
    settle_s: Annotated[
        float, typer.Option(min=0, help="How long the old version may go on with its replies.")
    ] = 10.0,
) -> None:
    """Have the Triton servers change over to a version of the model, while sessions go on.

    Each loads it beside the old one; sessions follow with their next chunk. Where a server fails
    to, all stay with what they had.
    """
    with told_plainly():
        from services.cli.rollout import run_rollout

        run_rollout(what, repository, encoders, decoders, settle_s)


@models.command("fetch", epilog="Example: soundflow models fetch cascade")
def fetch_models(names: ModelNames = None) -> None:
    """Download weights that are missing; those of the default model if no name is given."""
    with told_plainly():
        from services.cli import models as command

        command.fetch_models(names or [])


@models.command("list", epilog="Example: soundflow models list")
def list_models() -> None:
    """Show every model, and whether its weights are here."""
    with told_plainly():
        from services.cli import models as command

        command.list_models()


@models.command("verify", epilog="Example: soundflow models verify whisper-base")
def verify_models(names: ModelNames = None) -> None:
    """Read weights from start to end and compare them with what was published; all if no name."""
    with told_plainly():
        from services.cli import models as command

        command.verify_models(names or [])


def _spec(instruction: str, abilities: list[Ability] | None, language: str) -> SessionSpec:
    """Say what is asked for. BadParameter where the shell's bytes are no text."""
    try:
        instruction.encode()
    except UnicodeEncodeError:
        raise typer.BadParameter("--instruction is not UTF-8; set the terminal to it") from None
    return SessionSpec(instruction, frozenset(abilities or ()), source_language=language)


def _raw_format(
    source: str, encoding: str | None, rate: int | None, channels: int | None
) -> "AudioFormat":
    """Say what `-` or `mic` gives. BadParameter where a file knows that itself."""
    from soundflow.audio import SAMPLE_RATE_HZ, AudioFormat, Encoding

    if source not in ("-", "mic") and (encoding, rate, channels) != (None, None, None):
        raise typer.BadParameter("--encoding, --rate and --channels are for '-' and 'mic' alone")
    if source == "mic" and encoding:
        raise typer.BadParameter("a microphone gives pcm_s16le; leave --encoding out")
    try:
        known = Encoding(encoding or Encoding.PCM_S16LE)
    except ValueError:
        raise typer.BadParameter(f"--encoding is one of {', '.join(Encoding)}") from None
    return AudioFormat(
        known,
        SAMPLE_RATE_HZ if rate is None else rate,
        1 if channels is None else channels,
    )
