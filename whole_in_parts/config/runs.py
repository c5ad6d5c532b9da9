"""The section `runs`: one pretraining each, with its backbone, method, modifier, views and optimizer."""

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from whole_in_parts.config.backbone import BackboneConfig
from whole_in_parts.config.method import MethodConfig
from whole_in_parts.config.modifier import ModifierConfig
from whole_in_parts.config.section import Count, Name, Section
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
    """One pretraining: a method, its modifier and all else that its weights depend on.

    With `accumulate`, a batch is learned from in so many pieces, each with batch norm and a loss of its own: it takes
    less memory. With `precision: bfloat16`, networks compute in that where it is safe; losses never do.
    """

    dataset: Name
    method: AnyMethod
    modifier: AnyModifier
    backbone: AnyBackbone
    image_size: Count
    views: Annotated[list[View], Field(min_length=2, max_length=2)]
    epochs: Annotated[int, Field(ge=0)]
    batch_size: Annotated[int, Field(ge=2)]
    accumulate: Count = 1
    precision: Literal["float32", "bfloat16"] = "float32"
    optimizer: OptimizerOptions
    online: Online = Field(default_factory=Online)
    seed: int

    @model_validator(mode="after")
    def trains_if_its_method_does(self) -> Self:
        if (self.method.name == "random") != (self.epochs == 0):
            raise ValueError(
                f"epochs: method random takes 0 epochs and every other at least 1; {self.method.name} has {self.epochs}"
            )
        return self

    @model_validator(mode="after")
    def warms_up_while_it_trains(self) -> Self:
        if self.epochs and self.optimizer.warmup_epochs > self.epochs:
            raise ValueError(
                f"optimizer.warmup_epochs: a warm-up of {self.optimizer.warmup_epochs} epochs is longer than the "
                f"training, which has {self.epochs}"
            )
        return self

    @model_validator(mode="after")
    def method_carries_modifier(self) -> Self:
        if not self.modifier.supports(self.method):
            modifiers = variants("modifiers", ModifierConfig)
            supported = [name for name, modifier in modifiers.items() if modifier.supports(self.method)]
            raise ValueError(
                f"modifier: {self.method.name} cannot carry {self.modifier.name}; it can: {', '.join(supported)}"
            )
        return self

    @model_validator(mode="after")
    def batch_can_be_cut(self) -> Self:
        if self.batch_size % self.accumulate:
            raise ValueError(f"accumulate: a batch of {self.batch_size} cannot be cut in {self.accumulate} pieces")
        if self.accumulate > 1 and self.modifier.needs_whole_batch:
            raise ValueError("accumulate: LoGo weighs gradients of whole batches against each other; leave it at 1")
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
        enter = 2 * self.batch_size
        if (queue := getattr(self.method, "queue", 0)) % enter:
            raise ValueError(
                f"method.queue: {queue} is not divisible by {enter}, the embeddings of the two views of a batch"
            )
        return self
