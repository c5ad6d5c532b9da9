"""Options of every method and modifier, tiny, for what is tested of all of them. Files alone say which there are."""

from typing import Any

from whole_in_parts.config.method import MethodConfig
from whole_in_parts.config.modifier import ModifierConfig
from whole_in_parts.config.variants import variants
from whole_in_parts.config.views import SmallCrops, View

VIEW = View(crop_scale=(0.4, 1.0), flip=0)
SMALL = View(crop_scale=(0.1, 0.4), flip=0)
PROJECTOR = [32, 16]
TINY = {"projector": PROJECTOR, "predictor": 32, "prototypes": 32, "momentum": (0.9, 1.0)}
TINY |= {"frozen_epochs": 0, "warmup_epochs": 0}
"""What every method takes, where it has the option."""
DISTILLATION = {option: value for option, value in TINY.items() if option != "predictor"} | {
    "norm": True,
    "momentum": (0.996, 1.0),
    "teacher_temperature": (0.07, 0.07),
    "centre_momentum": 0.5,
}
"""In the few steps of a test the centre settles and the target hardly moves; else the loss may rise before it falls."""
METHOD_OPTIONS: dict[str, dict[str, Any]] = {
    "amdim": {"layers": (2, 3), "sides": (3, 2)},
    "dino": DISTILLATION,
    "moco_v2": {"momentum": (0.999, 0.999), "temperature": 0.07, "queue": 64},
    "moco_v3": {"temperature": 0.2},
    "obow": {
        "queue": 64,
        "crops": [SmallCrops(count=1, size=8, view=VIEW), SmallCrops(count=2, size=6, view=SMALL)],
    },
    "patch_dino": DISTILLATION | {"squash": None, "local": SmallCrops(count=2, size=6, view=SMALL)},
    "simclr": {"temperature": 0.2, "norm": True},
    "swav": {"prototypes": 16},
    "weights": {
        "projector": None,
        "origin": {"name": "file", "path": "weights.pth", "sha256": "0" * 64, "layout": "torchvision"},
    },
}
"""What else a method needs to be tiny, or to learn something in a few steps."""
MODIFIER_OPTIONS: dict[str, dict[str, Any]] = {
    "co": {"weight": 0.2},
    "logo": {"size": 6, "view": SMALL},
    "multi_crop": {"crops": [SmallCrops(count=2, size=6, view=SMALL)], "average": True},
    "patches": {"scale": 0.3},
}


def tiny_method(name: str, config: type[MethodConfig]) -> MethodConfig:
    shared = {option: value for option, value in TINY.items() if option in config.model_fields}
    return config.model_validate({"name": name} | shared | METHOD_OPTIONS.get(name, {}))


METHODS = {name: tiny_method(name, config) for name, config in variants("methods", MethodConfig).items()}
MODIFIERS = {
    name: config.model_validate({"name": name} | MODIFIER_OPTIONS.get(name, {}))
    for name, config in variants("modifiers", ModifierConfig).items()
}
CARRIES = [
    (method, modifier) for method in METHODS for modifier in MODIFIERS if MODIFIERS[modifier].supports(METHODS[method])
]
TRAINS = [pair for pair in CARRIES if METHODS[pair[0]].trains]
CO_BASES = [method for method, modifier in CARRIES if modifier == "co"]
