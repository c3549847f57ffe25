import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Not what was fetched or installed below the root.
OURS = (
    *("bench", "demo", "docs", "helm", "models", "protos", "services", "soundflow", "stack"),
    *("tests", "training"),
)
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(path for part in OURS for path in (ROOT / part).rglob("*.md"))]
)
LINK = re.compile(r"\]\((?!https?://|#)(?P<target>[^)#\s]+)")
TARGET = re.compile(r"^(?P<name>[a-z-]+):", re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    targets = [match["target"] for match in LINK.finditer(document.read_text())]
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_every_document_of_ours_is_looked_at() -> None:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no checkout")
    assert {ROOT / name for name in listed.stdout.splitlines()} <= set(DOCUMENTS)


def test_documents_name_make_targets_that_exist() -> None:
    known = {match["name"] for match in TARGET.finditer((ROOT / "Makefile").read_text())}
    named = {
        name
        for document in DOCUMENTS
        for name in re.findall(r"(?:`|^)make ([a-z-]+)", document.read_text(), re.MULTILINE)
    }
    assert {"run", "test", "corpus", "train-small"} <= named <= known
