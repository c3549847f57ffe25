"""Loading costs the memory of the weights, once."""

import json
import subprocess
import sys
from pathlib import Path

from bench.load_3b import write_checkpoint
from soundflow.unified.audio_tower import EncoderConfig
from soundflow.unified.config import DecoderConfig

ENCODER = EncoderConfig(width=32, layers=1, heads=2, ffn=64, output_width=192)
DECODER = DecoderConfig(layers=4, width=192, heads=6, kv_heads=2, head_width=32, ffn=768)

# Apart from mapped files, which cost nothing that another process could not have at once.
WATCHED = """
import json, sys, threading, time
import psutil
from soundflow.checkpoint.folder import open_checkpoint

def own():
    memory = psutil.Process().memory_info()
    return memory.rss - memory.shared

peak, over = 0, threading.Event()

def watch():
    global peak
    while not over.wait(0.001):
        peak = max(peak, own())

checkpoint = open_checkpoint(sys.argv[1])
checkpoint.verify()
before = own()
watcher = threading.Thread(target=watch)
watcher.start()
model = checkpoint.make_decoder()
after = own()
over.set()
watcher.join()
held = sum(one.nbytes for one in model.parameters())
print(json.dumps({"held": held, "grown": after - before, "peak": peak - before}))
"""


def test_the_weights_are_never_there_twice(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, ENCODER, DECODER)
    watched = [sys.executable, "-c", WATCHED, str(tmp_path)]
    done = subprocess.run(watched, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["held"] > 110_000_000
    assert told["grown"] > 0.95 * told["held"], "or the weights are still in the files"
    assert told["peak"] < 1.2 * told["held"]
