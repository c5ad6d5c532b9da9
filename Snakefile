"""Run the stages of dvc.yaml: DVC says what they are and which are stale, Snakemake where and when they run."""

from snakemake.exceptions import WorkflowError

from stages import study
from workflow.dvc_stages import Stages

try:
    study.load()
except ValueError as error:
    raise WorkflowError(error)

STAGES = Stages(ask=workflow.is_main_process)
if workflow.is_main_process:
    STAGES.set_marks()


def settled(path):
    """A path whose modification time says nothing, unless this very build makes it anew."""
    return path if path in STAGES.stale else ancient(path)


def inputs_of(pattern):
    """The inputs of a stage of the kind that writes to the pattern."""

    def inputs(wildcards):
        output = pattern.format(**wildcards)
        return [STAGES.mark(output), *map(settled, STAGES.inputs(output))]

    return inputs


def address_of(pattern):
    """DVC's name of a stage of the kind that writes to the pattern."""
    return lambda wildcards: STAGES.by_output[pattern.format(**wildcards)].address


wildcard_constraints:
    key="[^/]+",


localrules:
    all,


rule all:
    input:
        [settled(output) for output in STAGES.by_output],


for kind, keyed in STAGES.kinds().items():
    place = f"{kind}/{{key}}" if keyed else kind

    rule:
        name:
            kind
        input:
            inputs_of(f"results/{place}"),
        output:
            directory(f"results/{place}"),
        log:
            f"logs/{place}.log",
        benchmark:
            f"benchmarks/{place}.tsv"
        threads: 1
        resources:
            mem_mb=2000,
            runtime=60,
        params:
            stage=address_of(f"results/{place}"),
        message:
            f"{place.replace('{key}', '{wildcards.key}')}"
        shell:
            "dvc --wait-for-lock repro --single-item {params.stage} 2>&1 | tee {log}"
