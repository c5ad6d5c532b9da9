"""Run the stages of dvc.yaml: DVC defines them and finds the stale ones, Snakemake schedules them."""

import os
import sys

from dvc.exceptions import DvcException
from dvc.lock import LockError

from whole_in_parts.config.recipes import redundant_overrides
from whole_in_parts.config.study import PARAMS, load_study
from workflow.build_lock import BuildLock
from workflow.dvc_lock import holder
from workflow.dvc_stages import Stages


def stages():
    """Return the stages of the study; jobs on a cluster read them from the marks of the main process.

    What hinders ends with its message alone; Snakemake would add a trace to an exception.
    """
    if not workflow.is_main_process:
        return Stages.from_marks()
    try:
        study = load_study()
        if remark := redundant_overrides(PARAMS):
            logger.warning(remark)
        return Stages.from_dvc(study)
    except LockError as error:
        sys.exit(BuildLock.builder() or holder(error))
    except (ValueError, OSError, DvcException) as error:
        sys.exit(str(error))


STAGES = stages()


def apply_force():
    """Force the stages of `--forcerun` and `--forceall`, which Snakemake sets only before it calls input functions."""
    if workflow.is_main_process:
        STAGES.force(workflow.dag_settings.forcerun, workflow.dag_settings.forceall)


def all_outputs(wildcards):
    """List the outputs of all stages."""
    apply_force()
    return [*STAGES.by_output]


def stage_of(output):
    """Return the stage of an output; a target that the study does not have ends with the nearest that it has."""
    if output not in STAGES.by_output:
        sys.exit(STAGES.unknown(output))
    return STAGES.by_output[output]


def inputs_of(pattern):
    """Return the input function of the kind of stage that writes to a pattern.

    The inputs of a stage that is not stale are `ancient`: neither their modification times nor jobs that write them
    again, with the same content, make the stage run.
    """

    def inputs(wildcards):
        apply_force()
        stage = stage_of(pattern.format(**wildcards))
        paths = STAGES.inputs(stage.output)
        return [stage.mark, *(paths if stage.stale else map(ancient, paths))]

    return inputs


def address_of(pattern):
    """Return a function for DVC's name of a stage of the kind that writes to a pattern."""
    return lambda wildcards: stage_of(pattern.format(**wildcards)).address


def output_of(path):
    """Return the folder of results of a kind of stage; `snakemake --report` shows the page and the figures of `report`."""
    folder = directory(f"results/{path}")
    if path != "report":
        return folder
    return report(
        folder,
        patterns=["{page}.html", "figures/{figure}.svg", "figures/{figure}.png"],
        caption="workflow/report/caption.rst",
        category=lambda wildcards: (
            "Figures" if "figure" in wildcards.keys() else "Page"
        ),
        labels=lambda wildcards: {
            "shows": wildcards.get("figure", "the report").replace("_", " ")
        },
    )


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
    path = f"{kind}/{{key}}" if keyed else kind

    rule:
        name:
            kind
        input:
            inputs_of(f"results/{path}"),
        output:
            output_of(path),
        log:
            f"logs/{path}.log",
        benchmark:
            f"benchmarks/{path}.tsv"
        threads: 1
        resources:
            mem_mb=2000,
            runtime=60,
        params:
            stage=address_of(f"results/{path}"),
            snakemake=os.getpid(),
        message:
            f"{path.replace('{key}', '{wildcards.key}')}"
        shell:
            "python -m workflow.job {params.stage:q} --snakemake {params.snakemake} 2>&1 | tee {log}"
