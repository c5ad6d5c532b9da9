"""Options of every method and modifier, tiny, for what is tested of all of them."""

from whole_in_parts.config.methods import (
    AMDIM,
    BYOL,
    DINO,
    MEC,
    TCR,
    MatrixSSL,
    MoCoV2,
    MoCoV3,
    PatchDINO,
    Random,
    SimCLR,
    SimSiam,
    Supervised,
    SwAV,
    VICReg,
)
from whole_in_parts.config.modifiers import CO, LoGo, MultiCrop, NoModifier, Patches
from whole_in_parts.config.views import SmallCrops, View

VIEW = View(crop_scale=(0.4, 1.0), flip=0)
SMALL = View(crop_scale=(0.1, 0.4), flip=0)
PROJECTOR, MOMENTUM = [32, 16], (0.9, 1.0)
DISTILLATION = {"projector": PROJECTOR, "momentum": (0.996, 1.0), "prototypes": 32, "norm": True, "frozen_epochs": 0}
DISTILLATION |= {"warmup_epochs": 0, "teacher_temperature": (0.07, 0.07), "centre_momentum": 0.5}
"""In the few steps of a test the centre settles and the target hardly moves; else the loss may rise before it falls."""
TARGET = {"projector": PROJECTOR, "momentum": MOMENTUM, "predictor": 32}

METHODS = {
    "amdim": AMDIM(name="amdim", projector=PROJECTOR, layers=(2, 3), sides=(3, 2)),
    "byol": BYOL(name="byol", **TARGET),
    "dino": DINO(name="dino", **DISTILLATION),
    "matrix_ssl": MatrixSSL(name="matrix_ssl", **TARGET),
    "mec": MEC(name="mec", warmup_epochs=0, **TARGET),
    "moco_v2": MoCoV2(name="moco_v2", projector=PROJECTOR, momentum=(0.999, 0.999), temperature=0.07, queue=64),
    "moco_v3": MoCoV3(name="moco_v3", temperature=0.2, **TARGET),
    "patch_dino": PatchDINO(name="patch_dino", local=SmallCrops(count=2, size=6, view=SMALL), **DISTILLATION),
    "random": Random(name="random"),
    "simclr": SimCLR(name="simclr", projector=PROJECTOR, temperature=0.2, norm=True),
    "simsiam": SimSiam(name="simsiam", projector=PROJECTOR, predictor=32),
    "supervised": Supervised(name="supervised"),
    "swav": SwAV(name="swav", projector=PROJECTOR, prototypes=16, frozen_epochs=0),
    "tcr": TCR(name="tcr", projector=PROJECTOR),
    "vicreg": VICReg(name="vicreg", projector=PROJECTOR),
}
MODIFIERS = {
    "none": NoModifier(name="none"),
    "co": CO(name="co", weight=0.2),
    "multi_crop": MultiCrop(name="multi_crop", crops=[SmallCrops(count=2, size=6, view=SMALL)], average=True),
    "logo": LoGo(name="logo", size=6, view=SMALL),
    "patches": Patches(name="patches", scale=0.3),
}
CARRIES = [(method, modifier) for method in METHODS for modifier in METHODS[method].carries]
TRAINS = [pair for pair in CARRIES if pair[0] != "random"]
CO_BASES = [method for method, modifier in CARRIES if modifier == "co"]
