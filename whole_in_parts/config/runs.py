"""The section `runs`: pretrainings, each with its backbone, method, modifier, views and optimizer."""

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from whole_in_parts.config.backbone import BackboneConfig
from whole_in_parts.config.method import MethodConfig
from whole_in_parts.config.modifier import ModifierConfig
from whole_in_parts.config.precision import Precision
from whole_in_parts.config.section import Count, Name, Section, Seed, SeveralOf, WholeNumber
from whole_in_parts.config.training import Online, OptimizerOptions
from whole_in_parts.config.variants import union_of, variants
from whole_in_parts.config.views import View

if TYPE_CHECKING:
    AnyMethod = MethodConfig
    AnyModifier = ModifierConfig
    AnyBackbone = BackboneConfig
else:
    AnyMethod = union_of("methods")
    AnyModifier = union_of("modifiers")
    AnyBackbone = union_of("backbones")


class Run(Section):
    """One pretraining: a method, its modifier and every other option that the weights depend on."""

    dataset: Name
    """The dataset to train on: a key of `datasets`."""
    split: Literal["train", "unlabelled"] = "train"
    """The split to train on. Whatever it is, kNN and probes learn from `train`; the online probe, which learns from the
    images of the training, is left out without labels."""
    method: AnyMethod
    """The self-supervised method (or `supervised`, `random`, `weights`) and its options, chosen by `name`."""
    modifier: AnyModifier
    """The modifier of the method and its options, chosen by `name`; `none` trains the method alone."""
    backbone: AnyBackbone
    """The network that is pretrained and its options, chosen by `name`."""
    start: Name | None = None
    """The run, above this one and with the same backbone, whose weights this one begins with; random if left out."""
    image_size: Count
    """Side of the square views and of the evaluated images, in pixels."""
    views: Annotated[list[View], Field(min_length=2, max_length=2)]
    """The augmentations of the first and of the second view."""
    epochs: WholeNumber
    """Epochs of training; 0 for the methods `random` and `weights` alone."""
    batch_size: SeveralOf
    """Images in a batch, over all processes; at least 2."""
    accumulate: Count = 1
    """Number of pieces of a batch whose gradients are accumulated, to save memory; each has its own batch norm and
    loss. It must divide `batch_size`."""
    precision: Precision = "float32"
    """`bfloat16` computes the networks in mixed precision; losses are always computed in float32."""
    optimizer: OptimizerOptions
    """The optimizer and its schedule, chosen by `name`."""
    online: Online = Field(default_factory=Online)
    """The evaluation during training; it does not change the weights."""
    seed: Seed
    """Seed of the initial weights, the order of images and the augmentations."""

    @model_validator(mode="after")
    def epochs_suit_the_method(self) -> Self:
        if self.method.trains != (self.epochs > 0):
            allowed = "at least 1" if self.method.trains else "0"
            raise ValueError(f"epochs: method {self.method.name} takes {allowed}; given are {self.epochs}")
        return self

    @model_validator(mode="after")
    def method_fits_the_backbone(self) -> Self:
        if problem := self.method.incompatibility(self.backbone):
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def warmup_ends_in_time(self) -> Self:
        if self.epochs and self.optimizer.warmup_epochs > self.epochs:
            raise ValueError(
                f"optimizer.warmup_epochs: a warm-up of {self.optimizer.warmup_epochs} epochs is longer than the "
                f"training, which has {self.epochs}"
            )
        return self

    @model_validator(mode="after")
    def labels_are_there_if_needed(self) -> Self:
        if self.split == "unlabelled" and self.method.name == "supervised":
            raise ValueError("split: method supervised needs the labels of train, and unlabelled has none")
        return self

    @model_validator(mode="after")
    def method_supports_modifier(self) -> Self:
        if not self.modifier.supports(self.method):
            modifiers = variants("modifiers", ModifierConfig)
            supported = [name for name, modifier in modifiers.items() if modifier.supports(self.method)]
            raise ValueError(
                f"modifier: {self.method.name} does not support {self.modifier.name}; supported: {', '.join(supported)}"
            )
        return self

    @model_validator(mode="after")
    def modifier_fits_the_method(self) -> Self:
        if problem := self.modifier.incompatibility(self.method):
            raise ValueError(f"modifier.{problem}")
        return self

    @model_validator(mode="after")
    def batch_is_divisible(self) -> Self:
        if self.batch_size % self.accumulate:
            raise ValueError(f"accumulate: a batch of {self.batch_size} cannot be cut in {self.accumulate} pieces")
        if self.accumulate > 1 and self.modifier.needs_whole_batch:
            raise ValueError(
                f"accumulate: takes 1, since modifier {self.modifier.name} compares gradients of whole batches"
            )
        return self

    @model_validator(mode="after")
    def crops_fit_the_image(self) -> Self:
        sizes = {f"modifier.{key}": size for key, size in self.modifier.crop_sizes().items()}
        sizes |= {f"method.{key}": size for key, size in self.method.crop_sizes().items()}
        for key, size in sizes.items():
            if size > self.image_size:
                raise ValueError(f"{key}: a crop of {size} is larger than the image, of {self.image_size}")
        return self

    @model_validator(mode="after")
    def queue_holds_whole_batches(self) -> Self:
        embeddings = self.method.queued_views * self.batch_size
        if (queue := getattr(self.method, "queue", 0)) % embeddings:
            raise ValueError(
                f"method.queue: {queue} is not divisible by {embeddings}, the embeddings that enter it in a step"
            )
        return self
