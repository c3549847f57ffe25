"""What a running process says that it holds."""

import subprocess
import sys
from pathlib import Path

from bench.heap import FILE, ask, growth
from stack.settings import ROOT

MODULE = """
import sys
class Call: pass
held = []
print("ready", flush=True)
for line in sys.stdin:
    held += [Call() for _ in range(int(line))]
    print("held", flush=True)
"""


def test_a_process_tells_what_it_holds_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "grows.py").write_text(MODULE)
    with subprocess.Popen(
        [sys.executable, "-m", "bench.heap", "grows"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{ROOT}:{tmp_path}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == "ready\n"
        before = ask(process.pid, tmp_path / FILE)
        process.stdin.write("500\n")
        process.stdin.flush()
        assert process.stdout.readline() == "held\n"
        after = ask(process.pid, tmp_path / FILE)
        process.stdin.close()
    assert process.returncode == 0
    assert after.objects["__main__.Call"] == 500
    assert after.blocks - before.blocks >= 500
    [shown] = growth({"a": before}, {"a": after}, 100).columns[2].cells
    assert str(shown).startswith("__main__.Call 5.00")
