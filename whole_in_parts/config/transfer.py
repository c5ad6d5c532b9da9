"""The section `transfer`: evaluations of pretrained backbones on other datasets."""

from typing import TYPE_CHECKING

from whole_in_parts.config.section import Name, Section
from whole_in_parts.config.task import TaskConfig
from whole_in_parts.config.variants import union_of

if TYPE_CHECKING:
    AnyTask = TaskConfig
else:
    AnyTask = union_of("tasks")


class Transfer(Section):
    """One transfer task of one run on one dataset."""

    run: Name
    """The run to evaluate: a key of `runs`."""
    dataset: Name
    """The dataset of the task: a key of `datasets`."""
    task: AnyTask
    """The task and its options, chosen by `name`."""
