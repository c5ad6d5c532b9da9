"""The section `runs`: one pretraining each, with its backbone, method, modifier, views and optimizer."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from whole_in_parts.config.backbones import BackboneOptions
from whole_in_parts.config.methods import MethodOptions
from whole_in_parts.config.modifiers import ModifierOptions
from whole_in_parts.config.section import Count, Name, Section
from whole_in_parts.config.training import Online, OptimizerOptions
from whole_in_parts.config.views import View


class Run(Section):
    """One pretraining: a method, its modifier and all else that its weights depend on.

    With `accumulate`, a batch is learned from in so many pieces, each with batch norm and a loss of its own: it takes
    less memory. With `precision: bfloat16`, networks compute in that where it is safe; losses never do.
    """

    dataset: Name
    method: MethodOptions
    modifier: ModifierOptions
    backbone: Annotated[BackboneOptions, Field(discriminator="name")]
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
    def trains_if_its_method_does(self):
        if (self.method.name == "random") != (self.epochs == 0):
            raise ValueError(
                f"epochs: method random takes 0 epochs and every other at least 1; {self.method.name} has {self.epochs}"
            )
        return self

    @model_validator(mode="after")
    def warms_up_while_it_trains(self):
        if self.epochs and self.optimizer.warmup_epochs > self.epochs:
            raise ValueError(
                f"optimizer.warmup_epochs: a warm-up of {self.optimizer.warmup_epochs} epochs is longer than the "
                f"training, which has {self.epochs}"
            )
        return self

    @model_validator(mode="after")
    def method_carries_modifier(self):
        if self.modifier.name not in self.method.carries:
            raise ValueError(
                f"modifier: {self.method.name} cannot carry {self.modifier.name}; it can: "
                f"{', '.join(self.method.carries)}"
            )
        return self

    @model_validator(mode="after")
    def batch_can_be_cut(self):
        if self.batch_size % self.accumulate:
            raise ValueError(f"accumulate: a batch of {self.batch_size} cannot be cut in {self.accumulate} pieces")
        if self.accumulate > 1 and self.modifier.name == "logo":
            raise ValueError("accumulate: LoGo weighs gradients of whole batches against each other; leave it at 1")
        return self

    @model_validator(mode="after")
    def crops_fit_the_image(self):
        sizes = {f"modifier.crops.{n}": crops.size for n, crops in enumerate(getattr(self.modifier, "crops", []))}
        sizes |= {"modifier": self.modifier.size} if self.modifier.name == "logo" else {}
        sizes |= {"method.local": self.method.local.size} if self.method.name == "patch_dino" else {}
        for key, size in sizes.items():
            if size > self.image_size:
                raise ValueError(f"{key}.size: a crop of {size} is larger than the image, of {self.image_size}")
        return self

    @model_validator(mode="after")
    def queue_holds_whole_batches(self):
        enter = 2 * self.batch_size
        if (queue := getattr(self.method, "queue", 0)) % enter:
            raise ValueError(
                f"method.queue: {queue} is not divisible by {enter}, the embeddings of the two views of a batch"
            )
        return self
