"""The model card of a trained backbone: `README.md` in its folder, with metadata that the Hugging Face Hub reads."""

import json
from collections.abc import Mapping

import yaml

from whole_in_parts.config.runs import Run

ACCURACIES = {
    "online_linear": "linear probe beside the training",
    "online_knn": "kNN beside the training",
}
"""The metrics of a training that the card states, and what they are."""


def model_card(run: str, options: Run, metrics: Mapping[str, float | None]) -> str:
    """Return the card: metadata, what the network is and how it was trained, how to load it, and all settings."""
    head = f"---\n{metadata(run, options, metrics)}---\n\n# {run}\n\n"
    return f"{head}{description(options, metrics)}\n\n{LOADING}{settings(options)}"


def metadata(run: str, options: Run, metrics: Mapping[str, float | None]) -> str:
    """Return the metadata as YAML: library, tags, dataset, and the accuracies that were measured."""
    found = [
        {"type": "accuracy", "name": meaning, "value": metrics[name]}
        for name, meaning in ACCURACIES.items()
        if metrics.get(name) is not None
    ]
    result = {
        "task": {"type": "image-feature-extraction"},
        "dataset": {"name": options.dataset, "type": options.dataset},
        "metrics": found,
    }
    content = {
        "library_name": "whole-in-parts",
        "license": "other",
        "license_name": "that-of-the-training-images",
        "tags": ["self-supervised", options.method.name, options.modifier.name, options.backbone.name],
        "pipeline_tag": "image-feature-extraction",
        "model-index": [{"name": run, "results": [result] if found else []}],
    }
    return yaml.safe_dump(content, sort_keys=False)


def description(options: Run, metrics: Mapping[str, float | None]) -> str:
    """Describe the network, its training and its local representations."""
    size, side = metrics["receptive_field"], metrics["map_size"]
    return (
        f"A {options.backbone.name} of {metrics['parameters']:,} parameters, {training(options, metrics)}. It has "
        f"{side}×{side} local representations{f' that see {size} px' if size else ''}."
    )


def training(options: Run, metrics: Mapping[str, float | None]) -> str:
    """Describe where the weights come from."""
    if options.method.name == "random":
        return f"with random weights, for images of {options.image_size} px"
    if not options.method.trains:
        return f"with weights that others trained, for images of {options.image_size} px; see their origin below"
    images = "training images" if options.split == "train" else "unlabelled images"
    begin = f", beginning with {options.start}" if options.start else ""
    return (
        f"pretrained by {options.method.name} (modifier: {options.modifier.name}) on the {images} of "
        f"{options.dataset}, {metrics['steps']} steps of {options.batch_size} images at {options.image_size} px{begin}"
    )


LOADING = """```python
import whole_in_parts

backbone = whole_in_parts.load("model")  # this folder, or its name on the Hub
representations = backbone(images)  # images (B, C, H, W) in [0, 1]; it normalises them itself
global_BD, local_BCNN = representations.global_BD, representations.local_BCNN
```

Architectures that timm has load there, too: `timm.create_model("local-dir:model", pretrained=True)`. Such a network
expects images that are normalised by the mean and std in `config.json`.

"""


def settings(options: Run) -> str:
    """Return all options of the run."""
    return f"## Settings\n\n```json\n{json.dumps(options.model_dump(mode='json'), indent=2)}\n```\n"
