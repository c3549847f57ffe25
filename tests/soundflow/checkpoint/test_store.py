import io
import os
import zipfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from threading import Event

import pytest
from filelock import FileLock

from soundflow.checkpoint import (
    CacheUnwritable,
    FetchProgress,
    ModelDamaged,
    ModelMissing,
    ModelUnreachable,
    Step,
    Store,
    UnknownModel,
    default_store,
)
from soundflow.checkpoint.table import Entry, File, Member, Package
from tests.soundflow.checkpoint.conftest import Publish, file_of, store_of

WEIGHTS = b"weights of a model, " * 5000


def toy(package: Package, convert: Callable[[Path, Path], None] | None = None) -> Entry:
    """A model of one file, which its package carries as `toy/model.bin`."""
    weights = file_of("model.bin", WEIGHTS, Member(package, "toy/model.bin"))
    return Entry((weights,), licence="MIT", origin="a test", convert=convert)


@pytest.fixture
def store(publish: Publish, root: Path) -> Store:
    return store_of(root, toy=toy(publish("toy-weights", {"toy/model.bin": WEIGHTS})))


def visible(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.suffix != ".lock")


def test_a_file_is_joined_from_two_packages_and_taken_out_of_a_nested_zip(
    publish: Publish, root: Path
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("deep/graph", b"graph")
    first = publish("part-one", {"one/a": b"left", "one/nested.zip": buffer.getvalue()})
    second = publish("part-two", {"two/b": b"right"})
    files = (
        file_of("joined", b"leftright", Member(first, "one/a"), Member(second, "two/b")),
        file_of("graph", b"graph", Member(first, "one/nested.zip", inside="deep/graph")),
    )
    store = store_of(root, parts=Entry(files, licence="MIT", origin="a test"))

    folder = store.fetch("parts")

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "joined": b"leftright",
        "graph": b"graph",
    }
    assert store.locate("parts") == store.verify("parts") == folder
    assert visible(root) == ["parts"]


def test_a_fetch_reports_its_steps(store: Store) -> None:
    reports: list[FetchProgress] = []
    store.fetch("toy", reports.append)
    assert [report.step for report in reports if report.step is not Step.PACKAGE] == [
        Step.CHECK,
        Step.DONE,
    ]
    assert all(report.done_bytes <= report.total_bytes for report in reports)


def test_what_is_there_is_not_fetched_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.fetch("toy")
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    reports: list[FetchProgress] = []
    store.fetch("toy", reports.append)
    assert [report.step for report in reports] == [Step.DONE]


def test_a_wrong_sum_is_refused_with_file_expected_and_got(publish: Publish, root: Path) -> None:
    forged = b"forgery of a model, " * 5000
    entry = toy(publish("toy-weights", {"toy/model.bin": forged}))
    with pytest.raises(ModelUnreachable) as caught:
        store_of(root, toy=entry).fetch("toy")
    for part in ("model.bin", entry.files[0].sha256, file_of("", forged).sha256):
        assert part in str(caught.value)
    assert visible(root) == []


def test_a_wheel_without_the_file_is_named(publish: Publish, root: Path) -> None:
    entry = toy(publish("toy-weights", {"toy/other.bin": WEIGHTS}))
    with pytest.raises(ModelUnreachable, match=r"toy_weights-1\.0.*toy/model\.bin"):
        store_of(root, toy=entry).fetch("toy")
    assert visible(root) == []


def test_without_a_network_every_source_is_named_with_its_reason(
    publish: Publish, root: Path
) -> None:
    entry = toy(Package("nowhere-weights", "1.0", 1))
    with pytest.raises(ModelUnreachable, match="(?s)network.*hub: .*nowhere-weights==1.0"):
        store_of(root, toy=entry).fetch("toy")
    assert visible(root) == []


def test_an_unknown_name_lists_the_known_ones(store: Store) -> None:
    for act in (store.fetch, store.locate, store.verify, store.expand):
        with pytest.raises(UnknownModel, match="'tiger'.*toy.*all"):
            act("tiger")


def test_a_group_is_replaced_by_its_models_each_once(root: Path) -> None:
    entry = toy(Package("p", "1", 1))
    store = store_of(root, one=entry, two=entry)
    assert store.expand("two", "all") == ("two", "one")


def test_a_folder_is_its_own_location(store: Store, tmp_path: Path) -> None:
    assert store.locate(tmp_path) == tmp_path
    with pytest.raises(ModelMissing, match="no/such/folder"):
        store.locate("no/such/folder")


def test_a_missing_model_names_the_file_and_the_command(store: Store, root: Path) -> None:
    with pytest.raises(ModelMissing) as caught:
        store.locate("toy")
    assert str(root / "toy" / "model.bin") in str(caught.value)
    assert "soundflow models fetch toy" in str(caught.value)


def test_a_truncated_file_is_damaged_and_the_next_fetch_repairs_it(store: Store) -> None:
    weights = store.fetch("toy") / "model.bin"
    weights.write_bytes(WEIGHTS[:-1])
    with pytest.raises(ModelDamaged, match=f"{len(WEIGHTS) - 1} bytes, expected {len(WEIGHTS)}"):
        store.locate("toy")
    store.fetch("toy")
    assert store.verify("toy") == weights.parent


def test_verify_reads_every_byte(store: Store) -> None:
    weights = store.fetch("toy") / "model.bin"
    weights.write_bytes(b"W" + WEIGHTS[1:])
    store.locate("toy")
    with pytest.raises(ModelDamaged, match="SHA-256 .* fetch toy"):
        store.verify("toy")


def test_a_cache_that_cannot_be_written_is_named(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a-file").touch()
    blocked = replace(store, root=tmp_path / "a-file" / "models")
    with pytest.raises(CacheUnwritable, match="a-file/models.*SOUNDFLOW_MODELS"):
        blocked.fetch("toy")


def test_too_little_room_is_found_before_the_download(root: Path) -> None:
    endless = File("model.bin", 10**18, "0" * 64, (Member(Package("p", "1", 1), "x"),))
    store = store_of(root, toy=Entry((endless,), licence="MIT", origin="a test"))
    with pytest.raises(CacheUnwritable, match="needs 2000000000000 MB"):
        store.fetch("toy")
    assert visible(root) == []


def double(downloaded: Path, made: Path) -> None:
    (made / "twice.bin").write_bytes((downloaded / "model.bin").read_bytes() * 2)


def test_converted_files_are_kept_without_their_source(publish: Publish, root: Path) -> None:
    entry = toy(publish("toy-weights", {"toy/model.bin": WEIGHTS}), convert=double)
    store = store_of(root, toy=entry)
    folder = store.fetch("toy")
    assert (folder / "twice.bin").read_bytes() == WEIGHTS * 2
    assert not (folder / "model.bin").exists()
    assert store.verify("toy") == folder
    (folder / "twice.bin").write_bytes(WEIGHTS)
    with pytest.raises(ModelDamaged, match=r"twice\.bin"):
        store.locate("toy")


def test_files_converted_from_another_version_are_damaged(publish: Publish, root: Path) -> None:
    entry = toy(publish("toy-weights", {"toy/model.bin": WEIGHTS}), convert=double)
    store_of(root, toy=entry).fetch("toy")
    newer = replace(entry, files=(replace(entry.files[0], sha256="0" * 64),))
    with pytest.raises(ModelDamaged, match="another version"):
        store_of(root, toy=newer).locate("toy")


def die(downloaded: Path, made: Path) -> None:
    (made / "half").write_bytes(b"half")
    os._exit(1)


def test_a_killed_fetch_leaves_no_model_and_the_next_one_sweeps(
    publish: Publish, root: Path
) -> None:
    entry = toy(publish("toy-weights", {"toy/model.bin": WEIGHTS}), convert=die)
    with (
        ProcessPoolExecutor(1, get_context("spawn")) as pool,
        pytest.raises(BrokenProcessPool),
    ):
        pool.submit(store_of(root, toy=entry).fetch, "toy").result()
    store = store_of(root, toy=replace(entry, convert=double))
    assert len(visible(root)) == 1  # what the killed one was working in
    with pytest.raises(ModelMissing):
        store.locate("toy")
    store.fetch("toy")
    assert visible(root) == ["toy"]


def test_processes_that_fetch_at_once_all_get_the_whole_model(store: Store) -> None:
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        folders = [pool.submit(store.fetch, "toy") for _ in range(3)]
        assert {folder.result() for folder in folders} == {store.verify("toy")}
    assert visible(store.root) == ["toy"]


def test_a_fetch_waits_for_the_one_before_it(store: Store) -> None:
    waiting = Event()

    def note(progress: FetchProgress) -> None:
        if progress.step is Step.WAIT:
            waiting.set()

    store.root.mkdir()
    with ThreadPoolExecutor(1) as pool:
        with FileLock(store.root / ".toy.lock"):
            fetched = pool.submit(store.fetch, "toy", note)
            assert waiting.wait(timeout=30)
            assert visible(store.root) == []
        assert fetched.result(timeout=60) == store.root / "toy"


def test_the_environment_names_the_default_folder(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDFLOW_MODELS", str(root))
    assert default_store().root == root
    monkeypatch.delenv("SOUNDFLOW_MODELS")
    assert default_store().root.parts[-2:] == ("soundflow", "models")


@pytest.mark.models
def test_a_real_package_is_fetched(root: Path) -> None:
    store = replace(default_store(), root=root)
    assert (store.fetch("silero-vad") / "silero_vad_16k_sequence.onnx").is_file()
    assert store.verify("silero-vad") == root / "silero-vad"
