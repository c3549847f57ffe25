"""No search for garbage looks at what was there when a process had started."""

import subprocess
import sys

PROGRAM = """
import gc, weakref
from soundflow.serving.heap import freeze_heap

class Node:
    pass

def ring():
    node = Node()
    node.itself = node
    return weakref.ref(node)

gc.disable()
before, loaded = ring(), [[] for _ in range(10_000)]
freeze_heap()
after = ring()
assert before() is None, "garbage was frozen"
assert gc.get_freeze_count() > 10_000 > len(gc.get_objects()), "what was loaded is searched"
gc.collect()
assert after() is None, "garbage of later stays"
"""


def test_only_what_comes_later_is_searched() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)
