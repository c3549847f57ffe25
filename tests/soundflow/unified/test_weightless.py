import subprocess
import sys
from pathlib import Path

import torch
from torch import nn

from soundflow.unified.weightless import without_weights

LOADS = """
import sys
from soundflow.models import load_model
load_model(sys.argv[1])
print("torch" in sys.modules, "torch._dynamo" in sys.modules)
"""


def test_what_is_made_has_shapes_and_no_weights() -> None:
    with without_weights():
        made = nn.Embedding(3, 4)
    assert made.weight.is_meta
    assert made.weight.shape == (3, 4)
    made.load_state_dict({"weight": torch.ones(3, 4)}, assign=True)
    assert made(torch.tensor([2])).tolist() == [[1.0] * 4]


def test_elsewhere_weights_are_drawn_as_ever() -> None:
    with without_weights():
        pass
    assert nn.Embedding(3, 400).weight.std() > 0.9


def test_a_process_that_loads_a_model_does_not_import_the_compiler(golden_folder: Path) -> None:
    command = [sys.executable, "-c", LOADS, str(golden_folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"
