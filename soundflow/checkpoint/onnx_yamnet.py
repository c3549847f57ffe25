"""YAMNet's weights out of the published graph, by the names of `soundflow.unified.yamnet`.

The graph rounds them to 8 bits when it runs; here they are taken as it holds them, in float32.
"""

from pathlib import Path

from soundflow.checkpoint.ctranslate2_whisper import Arrays
from soundflow.checkpoint.errors import ModelDamaged

FILE = "yamnet.onnx"
DEQUANTISED = "_qdq"
CLASSIFIER = "model.classifier"


def read_yamnet(folder: Path) -> Arrays:
    """Return all weights in float32. ModelDamaged."""
    # Only who makes a checkpoint needs it.
    import onnx
    from onnx import numpy_helper

    file = folder / FILE
    try:
        graph = onnx.load(file).graph
    except Exception as error:  # of protobuf, or of reading the weights beside it
        raise ModelDamaged(f"{file} cannot be read: {error}") from error
    given = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    made = {f"classifier.{leaf}": given[f"{CLASSIFIER}.{leaf}"] for leaf in ("weight", "bias")}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    for place, node in enumerate(convolutions):
        _, weight, bias = node.input
        layer, pointwise = divmod(place - 1, 2)
        name = f"layers.{layer}.{'pointwise' if pointwise else 'depthwise'}" if place else "first"
        made[f"{name}.weight"] = given[weight.removesuffix(DEQUANTISED)]
        made[f"{name}.bias"] = given[bias.removesuffix(DEQUANTISED)]
    return made
