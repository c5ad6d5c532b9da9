"""Options of every method and modifier, tiny, for what is tested of all of them."""

from whole_in_parts.config.methods.amdim import AMDIMConfig
from whole_in_parts.config.methods.byol import ByolConfig
from whole_in_parts.config.methods.dino import DinoConfig
from whole_in_parts.config.methods.matrix_ssl import MatrixSSLConfig
from whole_in_parts.config.methods.mec import MECConfig
from whole_in_parts.config.methods.moco_v2 import MoCoV2Config
from whole_in_parts.config.methods.moco_v3 import MoCoV3Config
from whole_in_parts.config.methods.patch_dino import PatchDinoConfig
from whole_in_parts.config.methods.random import RandomConfig
from whole_in_parts.config.methods.simclr import SimCLRConfig
from whole_in_parts.config.methods.simsiam import SimSiamConfig
from whole_in_parts.config.methods.supervised import SupervisedConfig
from whole_in_parts.config.methods.swav import SwAVConfig
from whole_in_parts.config.methods.tcr import TCRConfig
from whole_in_parts.config.methods.vicreg import VICRegConfig
from whole_in_parts.config.modifiers.co import COConfig
from whole_in_parts.config.modifiers.logo import LoGoConfig
from whole_in_parts.config.modifiers.multi_crop import MultiCropConfig
from whole_in_parts.config.modifiers.none import NoModifierConfig
from whole_in_parts.config.modifiers.patches import PatchesConfig
from whole_in_parts.config.views import SmallCrops, View

VIEW = View(crop_scale=(0.4, 1.0), flip=0)
SMALL = View(crop_scale=(0.1, 0.4), flip=0)
PROJECTOR, MOMENTUM = [32, 16], (0.9, 1.0)
DISTILLATION = {"projector": PROJECTOR, "momentum": (0.996, 1.0), "prototypes": 32, "norm": True, "frozen_epochs": 0}
DISTILLATION |= {"warmup_epochs": 0, "teacher_temperature": (0.07, 0.07), "centre_momentum": 0.5}
"""In the few steps of a test the centre settles and the target hardly moves; else the loss may rise before it falls."""
TARGET = {"projector": PROJECTOR, "momentum": MOMENTUM, "predictor": 32}

METHODS = {
    "amdim": AMDIMConfig(name="amdim", projector=PROJECTOR, layers=(2, 3), sides=(3, 2)),
    "byol": ByolConfig(name="byol", **TARGET),
    "dino": DinoConfig(name="dino", **DISTILLATION),
    "matrix_ssl": MatrixSSLConfig(name="matrix_ssl", **TARGET),
    "mec": MECConfig(name="mec", warmup_epochs=0, **TARGET),
    "moco_v2": MoCoV2Config(name="moco_v2", projector=PROJECTOR, momentum=(0.999, 0.999), temperature=0.07, queue=64),
    "moco_v3": MoCoV3Config(name="moco_v3", temperature=0.2, **TARGET),
    "patch_dino": PatchDinoConfig(name="patch_dino", local=SmallCrops(count=2, size=6, view=SMALL), **DISTILLATION),
    "random": RandomConfig(name="random"),
    "simclr": SimCLRConfig(name="simclr", projector=PROJECTOR, temperature=0.2, norm=True),
    "simsiam": SimSiamConfig(name="simsiam", projector=PROJECTOR, predictor=32),
    "supervised": SupervisedConfig(name="supervised"),
    "swav": SwAVConfig(name="swav", projector=PROJECTOR, prototypes=16, frozen_epochs=0),
    "tcr": TCRConfig(name="tcr", projector=PROJECTOR),
    "vicreg": VICRegConfig(name="vicreg", projector=PROJECTOR),
}
MODIFIERS = {
    "none": NoModifierConfig(name="none"),
    "co": COConfig(name="co", weight=0.2),
    "multi_crop": MultiCropConfig(name="multi_crop", crops=[SmallCrops(count=2, size=6, view=SMALL)], average=True),
    "logo": LoGoConfig(name="logo", size=6, view=SMALL),
    "patches": PatchesConfig(name="patches", scale=0.3),
}
CARRIES = [
    (method, modifier) for method in METHODS for modifier in MODIFIERS if MODIFIERS[modifier].supports(METHODS[method])
]
TRAINS = [pair for pair in CARRIES if pair[0] != "random"]
CO_BASES = [method for method, modifier in CARRIES if modifier == "co"]
