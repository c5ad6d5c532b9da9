"""What the options of all transfer tasks have in common."""

from typing import TYPE_CHECKING

from whole_in_parts.config.section import Section


class TaskConfig(Section):
    """What the tasks have in common: `headline` is the metric that the report shows of one."""

    if TYPE_CHECKING:
        name: str

    @property
    def headline(self) -> str:
        raise NotImplementedError
