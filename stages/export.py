"""Export a pretrained backbone for other programs: `results/export/<entry>/`.

An entry of `export` in params.yaml names the run, the format and the output. `format: onnx` writes `model.onnx`, which
takes images in [0, 1], in batches of any size. `format: torchvision` writes `model.pth`, the weights of a ResNet by
torchvision's names. `output: features` is the global representation, `output: logits` that of the linear probe on
stored features. `export.json` describes the input, its normalisation and the output.

Before the result is in its place, it is loaded by onnxruntime or torchvision, and its outputs are compared with those
of the backbone.
"""

from pathlib import Path

import torch

from whole_in_parts.config.study import Study
from whole_in_parts.evaluation import linear_probe
from whole_in_parts.evaluation.probed_backbone import CLASSIFIERS
from whole_in_parts.export import onnx, torchvision
from whole_in_parts.export.exported import Exported
from whole_in_parts.models import saved_backbone
from whole_in_parts.results import result_dir
from workflow import program


def export(study: Study, entry: str, directory: Path) -> None:
    options = study.export[entry]
    cpu = torch.device("cpu")
    backbone, size = saved_backbone.load(result_dir("pretrain", options.run) / "model", cpu)
    classifier = None
    if options.output == "logits":
        classifier = linear_probe.load(result_dir("linear", options.run) / CLASSIFIERS["features"], cpu)

    network = Exported(backbone, classifier, size)
    if options.format == "onnx":
        onnx.write(network, directory)
    else:
        torchvision.write(network, directory, study.runs[options.run].backbone.architecture)


if __name__ == "__main__":
    program.run(export)
