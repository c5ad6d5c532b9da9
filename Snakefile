"""Run the stages of dvc.yaml: DVC says what they are and which are stale, Snakemake where and when they run."""

import os

from dvc.exceptions import DvcException
from snakemake.exceptions import WorkflowError

from whole_in_parts.config.recipes import written_out
from whole_in_parts.config.study import PARAMS, load_study
from workflow.build_lock import BuildLock
from workflow.dvc_stages import Stages


def stages():
    """The stages of the study; jobs on a cluster take them as the main process has marked them."""
    if not workflow.is_main_process:
        return Stages.handed_down()
    try:
        content = load_study()
        if remark := written_out(PARAMS):
            logger.warning(remark)
        return Stages.ask(content)
    except (ValueError, DvcException) as error:
        raise WorkflowError(error)


STAGES = stages()


def apply_force():
    """Mark what `--forcerun` and `--forceall` ask for, which is known when Snakemake asks for inputs, not before."""
    if workflow.is_main_process:
        STAGES.force(workflow.dag_settings.forcerun, workflow.dag_settings.forceall)


def all_outputs(wildcards):
    """The results of all stages."""
    apply_force()
    return [*STAGES.by_output]


def inputs_of(pattern):
    """The inputs of a stage of the kind that writes to the pattern.

    Those of a stage that is not stale are `ancient`: neither their modification times nor jobs that make them anew, with
    the same content, are a reason to run it.
    """

    def inputs(wildcards):
        apply_force()
        stage = STAGES.by_output[pattern.format(**wildcards)]
        read = STAGES.inputs(stage.output)
        return [stage.mark, *(read if stage.stale else map(ancient, read))]

    return inputs


def address_of(pattern):
    """DVC's name of a stage of the kind that writes to the pattern."""
    return lambda wildcards: STAGES.by_output[pattern.format(**wildcards)].address


onstart:
    BuildLock.take()


wildcard_constraints:
    key="[^/]+",


localrules:
    all,
    resolve,


rule all:
    input:
        all_outputs,


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
            snakemake=os.getpid(),
        message:
            f"{place.replace('{key}', '{wildcards.key}')}"
        shell:
            "python -m workflow.job {params.stage:q} --snakemake {params.snakemake} 2>&1 | tee {log}"
