"""The console's modules without a browser: their logic under Node.js, what they refer to."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

CONSOLE = Path(__file__).parents[3] / "services" / "console"
MODULES = sorted(CONSOLE.glob("*.js"))
NODE = shutil.which("node")

needs_node = pytest.mark.skipif(NODE is None, reason="Node.js is not installed")


@needs_node
def test_the_logic_of_the_modules() -> None:
    tests = sorted(str(path) for path in Path(__file__).parent.glob("*.test.mjs"))
    run_node("--test", *tests)


@needs_node
@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_a_module_parses(module: Path) -> None:
    run_node("--check", str(module))


def test_the_page_refers_only_to_files_that_ship() -> None:
    html = (CONSOLE / "index.html").read_text()
    references = re.findall(r'(?:src|href)="([^"#]+)"', html)
    assert "app.js" in references
    assert [name for name in references if not (CONSOLE / name).is_file()] == []


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_imports_lead_to_modules_that_ship(module: Path) -> None:
    imported = re.findall(r'from "([^"]+)"|import "([^"]+)"', module.read_text())
    names = [name for pair in imported for name in pair if name]
    assert [name for name in names if not (CONSOLE / name).is_file()] == []


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_no_text_is_parsed_as_html(module: Path) -> None:
    parsing = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    assert re.findall(parsing, module.read_text()) == []


def test_every_icon_and_colour_of_a_kind_exists() -> None:
    html, css = (CONSOLE / "index.html").read_text(), (CONSOLE / "style.css").read_text()
    kinds = re.findall(r"^  (\w+): \"", (CONSOLE / "kinds.js").read_text(), flags=re.MULTILINE)
    assert len(kinds) == 7
    assert [kind for kind in kinds if f'id="icon-{kind}"' not in html] == []
    # Once for light, once for dark.
    assert [kind for kind in kinds if len(re.findall(rf"--kind-{kind}: #", css)) != 2] == []


def run_node(*arguments: str) -> None:
    assert NODE
    done = subprocess.run([NODE, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
