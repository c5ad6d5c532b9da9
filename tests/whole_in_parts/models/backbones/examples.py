"""Options of backbones: those of the papers in full, and a tiny one of each kind."""

from whole_in_parts.config.backbone import BackboneConfig, backbone_config

PIXELS = {"channels": 3, "mean": [0.5, 0.4, 0.3], "std": [0.25, 0.2, 0.3]}
LARGE, LARGE_UNPOOLED, SMALL = (
    {"kernel": 7, "stride": 2, "pool": True},
    {"kernel": 7, "stride": 2, "pool": False},
    {"kernel": 3, "stride": 1, "pool": False},
)


def options(name: str, **more: object) -> BackboneConfig:
    return backbone_config({"name": name} | PIXELS | more)


def resnet(block: str, blocks: list[int], strides: list[int], stem: dict, width: int = 64, **more: object):
    return options("resnet", block=block, blocks=blocks, strides=strides, stem=stem, width=width, **more)


def rf_resnet(
    block: str, blocks: list[int], strides: list[int], stem: dict, width: int = 64, mlp: bool = True, **more: object
):
    return options("rf_resnet", block=block, blocks=blocks, strides=strides, stem=stem, width=width, mlp=mlp, **more)


def rf50(strides: list[int], stem: dict, **more: object):
    return rf_resnet("bottleneck", [3, 4, 6, 4], [1, *strides], stem, **more)


def rf18(strides: list[int], **more: object):
    return rf_resnet("basic", [4, 4, 4, 4], [1, *strides], SMALL, **more)


def bagnet(blocks: list[int], strides: list[int], mlp: bool = False, width: int = 64):
    return options("bagnet", blocks=blocks, strides=strides, mlp=mlp, width=width)


def alexnet(image_size: int = 64, width: int = 96, features: int = 4096):
    return options("alexnet", image_size=image_size, width=width, features=features)


def timm(model: str, **arguments: object):
    return options("timm", model=model, arguments=arguments)


R50 = resnet("bottleneck", [3, 4, 6, 3], [1, 2, 2, 2], LARGE)
R18 = resnet("basic", [2, 2, 2, 2], [1, 2, 2, 2], LARGE)
R18_SMALL = resnet("basic", [2, 2, 2, 2], [1, 2, 2, 2], SMALL)
RF99 = rf50([2, 2, 2], LARGE_UNPOOLED)
RF29 = rf18([1, 2, 2])
BAGNET33 = bagnet([3, 4, 6, 3], [2, 2, 2, 1])
BAGNET33_MATCHED = bagnet([3, 4, 6, 5], [2, 2, 2, 1], mlp=True)

VIT = {"patch_size": 8, "img_size": 32, "depth": 2, "embed_dim": 24, "num_heads": 3}
TINY = {
    "resnet basic": resnet("basic", [1, 1, 1], [1, 2, 2], SMALL, width=8),
    "resnet bottleneck": resnet("bottleneck", [2, 1], [1, 2], LARGE, width=8),
    "rf_resnet basic": rf_resnet("basic", [3, 3], [1, 1], SMALL, width=8),
    "rf_resnet bottleneck": rf_resnet("bottleneck", [3, 3], [1, 2], SMALL, width=8),
    "rf_resnet v0": rf_resnet("basic", [3], [2], SMALL, width=8, mlp=False),
    "bagnet": bagnet([2, 1], [2, 1], width=8),
    "bagnet mlp": bagnet([1, 2], [2, 2], mlp=True, width=8),
    "alexnet": alexnet(32, width=8, features=16),
    "timm vit": timm("vit_tiny_patch16_224", **VIT),
    "timm vit without class token": timm("vit_tiny_patch16_224", **VIT, class_token=False, global_pool="avg"),
    "timm resnet": timm("test_resnet"),
    "timm convnext": timm("test_convnext"),
    "timm efficientnet": timm("test_efficientnet"),
    "timm swin": timm(
        "swin_tiny_patch4_window7_224", img_size=32, window_size=2, embed_dim=12, patch_size=2, drop_path_rate=0.0
    ),
}
"""Each kind of backbone that takes images of 32 px."""
