"""Programs that Debian has, for tests that need them: installed where that is allowed, else the test is skipped."""

import os
import shutil
import subprocess
from typing import NoReturn

import pytest


def need(**packages: str) -> None:
    """See that root runs the test and the programs are there: `program="package"`, installed if it is missing."""
    if os.geteuid():
        skip("only root may do what this needs")
    path = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
    missing = {package for program, package in packages.items() if not shutil.which(program, path=path)}
    if missing and not shutil.which("apt-get"):
        skip(f"{', '.join(sorted(missing))} of Debian is missing, and there is no apt-get")
    if missing and (problem := install(missing) and (update() or install(missing))):
        skip(f"{', '.join(sorted(missing))} of Debian cannot be installed: {problem}")


def install(packages: set[str]) -> str:
    return apt("install", "--yes", "--no-install-recommends", *packages)


def update() -> str:
    return apt("update")


def apt(*arguments: str) -> str:
    """Why it did not work, or nothing."""
    quiet, patient = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, "DPkg::Lock::Timeout=300"
    done = subprocess.run(
        ["apt-get", "-qq", "-o", patient, *arguments], env=quiet, capture_output=True, text=True, check=False
    )
    return (done.stderr.strip() or f"exit code {done.returncode}") if done.returncode else ""


def skip(reason: str) -> NoReturn:
    """Skip the test, and say why."""
    pytest.skip(reason)
