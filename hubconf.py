"""Entry points of `torch.hub`: `torch.hub.load("owner/whole-in-parts", "backbone", "folder or name on the Hub")`."""

dependencies = ["torch", "numpy", "pydantic", "safetensors", "yaml"]

from whole_in_parts.models.hub import load as backbone  # noqa: E402, F401
