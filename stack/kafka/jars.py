"""The broker's jars, at the versions that pom.xml names."""

from functools import partial
from pathlib import Path

from stack import command
from stack.cache import Fetched, Report
from stack.programs import program

POM = Path(__file__).with_name("pom.xml")
KAFKA = Fetched("kafka", POM.read_text())


def locate() -> Path:
    """Return the folder of jars. Raises Missing, also where there is no Java to run them."""
    program("java")
    return KAFKA.locate()


def fetch(report: Report) -> Path:
    """Return a folder of jars, fetching them where they are missing. Raises StackError."""
    program("java")
    return KAFKA.fetch(partial(_copy_jars, report), report)


def _copy_jars(report: Report, folder: Path) -> None:
    maven = [
        *(program("mvn"), "--batch-mode", "--no-transfer-progress", "--strict-checksums"),
        *("--file", str(POM), "dependency:copy-dependencies"),
        *(f"-DoutputDirectory={folder}", "-DincludeScope=runtime"),
    ]
    command.run("kafka", maven, into=folder, report=report)
