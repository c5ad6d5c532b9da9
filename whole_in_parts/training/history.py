"""The history of a training as `history.csv`, and while the training goes on also as events of TensorBoard."""

import csv
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from whole_in_parts.distributed.environment import is_rank_zero

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

Row = dict[str, float]
FIRST = ["step", "epoch", "learning_rate", "loss"]


def write_history(rows: list[Row], file: Path) -> None:
    """Write the rows as CSV; a metric that was not computed in a step is left empty."""
    columns = dict.fromkeys(name for row in rows for name in row)
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns or FIRST)
        writer.writeheader()
        writer.writerows(rows)


class LiveHistory:
    """Writes each new row of a history into a folder: `history.csv`, and an event file if `tensorboardX` is installed.

    `tensorboard --logdir scratch/pretrain` shows the trainings that are running. Rank zero writes; the folder goes with
    the end of the training, whose result has the whole history.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: SummaryWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.events:
            self.events.close()

    def write(self, rows: list[Row]) -> None:
        """Replace `history.csv` as a whole, and append the last row to the events."""
        if not is_rank_zero():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / "history.unfinished"
        write_history(rows, unfinished)
        unfinished.replace(self.folder / "history.csv")

        if find_spec("tensorboardX"):
            self.append(rows[-1])

    def append(self, row: Row) -> None:
        """Append a row to the events, which are on the disk a second later.

        Steps after the first row are purged: a process that was killed may have gone further.
        """
        from tensorboardX import SummaryWriter

        step = int(row["step"])
        if self.events is None:
            self.events = SummaryWriter(str(self.folder), purge_step=step, flush_secs=1)
        for name, value in row.items():
            if name != "step":
                self.events.add_scalar(name, value, step)
