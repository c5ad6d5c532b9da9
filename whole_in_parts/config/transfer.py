"""The section `transfer`: what a pretrained backbone is asked to do with another dataset."""

from typing import TYPE_CHECKING

from whole_in_parts.config.section import Name, Section
from whole_in_parts.config.task import TaskConfig
from whole_in_parts.config.variants import union_of

if TYPE_CHECKING:
    AnyTask = TaskConfig
else:
    AnyTask = union_of("tasks")


class Transfer(Section):
    """One task of one run on one dataset."""

    run: Name
    dataset: Name
    task: AnyTask
