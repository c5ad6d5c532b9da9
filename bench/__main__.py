"""Run all benchmarks and print their tables: `make bench`."""

import platform
import tempfile
import warnings
from pathlib import Path

import torch

from bench import (
    corruptions,
    data_path,
    many_runs,
    methods,
    nothing_to_do,
    pretraining,
    probes,
    probing,
    processes,
    report,
)
from whole_in_parts.malloc import keep_freed_memory


def main() -> None:
    """Run the benchmarks, with the allocator set as in a training."""
    warnings.simplefilter("ignore")
    keep_freed_memory()
    print(f"{platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    print("| measured | ours | other | ratio | aim |\n|---|---:|---:|---:|---:|")
    for module in (data_path, pretraining, probing, probes):
        with tempfile.TemporaryDirectory() as folder:
            for row in module.rows(Path(folder)):
                print(
                    f"| {row.name} | {row.ours:,.0f} {row.unit} | {row.other:,.0f} | {row.ratio:.2f} | ≥ {row.aim} |",
                    flush=True,
                )

    processes.table()
    methods.table()
    corruptions.table()

    print("\n| nothing to do | seconds | aim |\n|---|---:|---:|")
    for command, seconds, limit in nothing_to_do.rows():
        print(f"| `{command}` | {seconds:.1f} | ≤ {limit} |", flush=True)
    many_runs.table()
    report.table()


if __name__ == "__main__":
    main()
