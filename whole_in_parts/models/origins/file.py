"""Weights of a file in any layout: its tensors, under the names that the backbone and the projector have for them."""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor

from whole_in_parts.config.layout import Layout
from whole_in_parts.config.origins.file import FileConfig
from whole_in_parts.failure import Failure
from whole_in_parts.models import weight_file
from whole_in_parts.models.origin import Released


def read(options: FileConfig) -> Released:
    """Find or download the file, check it, and read its tensors.

    Raises:
        Failure: the file is not there, is not the expected one, is damaged, or has another layout.
    """
    file = located(options)
    if options.url and not file.exists():
        weight_file.download(options.url, file)
    weight_file.check_sha256(file, options.sha256)
    network, projector = renamed(weight_file.read(file, options.layout.entry), options.layout, file)
    return Released(network, projector, options.layout.mean, options.layout.std)


def located(options: FileConfig) -> Path:
    """Return the path of the file; the package that ships it is found without being imported.

    Raises:
        Failure: the package is not installed.
    """
    if not options.package:
        return options.path
    spec = find_spec(options.package)
    if not (spec and spec.submodule_search_locations):
        raise Failure(f"origin.package: {options.package} is not installed; pip install {options.package}")
    return Path(spec.submodule_search_locations[0], options.path)


def renamed(tensors: Mapping[str, Tensor], layout: Layout, file: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Divide the tensors of a file into those of the network and those of its projector, and rename them.

    Raises:
        Failure: the layout does not say what a tensor is.
    """
    network: dict[str, Tensor] = {}
    projector: dict[str, Tensor] = {}
    unknown: list[str] = []
    for name, tensor in tensors.items():
        if layout.projector and name.startswith(layout.projector.prefix):
            projector[name.removeprefix(layout.projector.prefix)] = tensor
        elif name.startswith(tuple(layout.ignore)):
            continue
        elif name.startswith(layout.prefix):
            network[_renamed(name.removeprefix(layout.prefix), layout)] = tensor
        else:
            unknown.append(name)

    if unknown:
        raise Failure(
            f"{file}: the layout does not say what {len(unknown)} of its tensors are: {', '.join(unknown[:5])}; name "
            "their beginnings in `ignore`, or take another layout"
        )
    return network, projector


def _renamed(name: str, layout: Layout) -> str:
    for pattern, replacement in layout.rename.items():
        name = re.sub(pattern, replacement, name)
    return name
