import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Not what was fetched or installed below the root.
OURS = ("bench", "demo", "docs", "helm", "protos", "services", "soundflow", "stack", "tests")
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(path for part in OURS for path in (ROOT / part).rglob("*.md"))]
)
LINK = re.compile(r"\]\((?!https?://|#)(?P<target>[^)#\s]+)")
TARGET = re.compile(r"^(?P<name>[a-z-]+):", re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    targets = [match["target"] for match in LINK.finditer(document.read_text())]
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_the_readme_names_make_targets_that_exist() -> None:
    known = {match["name"] for match in TARGET.finditer((ROOT / "Makefile").read_text())}
    named = set(re.findall(r"`?make ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert {"run", "test"} <= named <= known
