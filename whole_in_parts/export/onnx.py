"""Write a network as ONNX: `model.onnx`, of opset 18, which takes batches of any size.

Images in [0, 1] go in, and the network normalises them itself. Its weights are in the file, or beside it in
`model.onnx.data` if they are too large for one (2 GB). Paths of this machine, which torch notes for each operation, are
taken out, so that the same weights give the same file everywhere.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from whole_in_parts.export.exported import Exported
from whole_in_parts.failure import Failure, first_line

OPSET = 18
FILE = "model.onnx"
LARGEST = 1_800_000_000
"""Bytes of weights that a single file holds."""

TRACED, CHECKED = 2, (1, 3)
"""Images of the batch that is traced, and of those by which the result is checked."""


def write(network: Exported, folder: Path) -> None:
    """Write the network and its description, and check what onnxruntime makes of it.

    Raises:
        Failure: torch cannot write this network, or onnxruntime's outputs differ from torch's.
    """
    size = sum(tensor.nbytes for tensor in network.state_dict().values())
    program = traced(network)
    without_paths(program)
    program.save(folder / FILE, external_data=size > LARGEST)
    network.describe(folder, {"format": "onnx", "opset": OPSET, "file": FILE}, normalises=True)

    for images in CHECKED:
        images_BCHW = network.examples(images)
        network.check(run(folder / FILE, images_BCHW), images_BCHW, "onnxruntime")


def traced(network: Exported) -> torch.onnx.ONNXProgram:
    """Trace a network for batches of any size.

    Raises:
        Failure: it has operations that cannot be traced.
    """
    try:
        with quiet():
            program = torch.onnx.export(
                network,
                (network.examples(TRACED),),
                dynamo=True,
                opset_version=OPSET,
                input_names=["images"],
                output_names=[network.output],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
    except Exception as error:  # torch raises errors of many types
        raise Failure(f"the network cannot be written as ONNX ({first_line(error)})") from error
    assert program
    return program


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what the exporter tells of its own parts away from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def without_paths(program: torch.onnx.ONNXProgram) -> None:
    """Take out the notes on where in the code an operation is from, with the paths of this machine."""
    graph = program.model.graph
    for node in graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
    for value in [*graph.inputs, *graph.initializers.values()]:
        value.metadata_props.clear()
    program.model.metadata_props.clear()
    graph.metadata_props.clear()


def run(file: Path, images_BCHW: Tensor) -> Tensor:
    """Compute the output (B, width) by onnxruntime, on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    (output_BK,) = session.run(None, {"images": images_BCHW.numpy()})
    return torch.from_numpy(output_BK)
