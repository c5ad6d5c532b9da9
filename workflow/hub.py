"""Publish a trained model on the Hugging Face Hub: `python -m workflow.hub push RUN OWNER/NAME`.

The model of the run, its configuration and its card are uploaded in one commit, so that nothing is there by half; the
repository is made if there is none. The token is that of `HF_TOKEN` or of `hf auth login`. Then
`whole_in_parts.load("OWNER/NAME")` loads the model anywhere.
"""

import argparse
import re
import sys
from pathlib import Path

import torch

from whole_in_parts.failure import Failure
from whole_in_parts.models import saved_backbone
from whole_in_parts.results import result_dir

FILES = ["config.json", "model.safetensors", "README.md"]


def main() -> None:
    """Upload a model and print where it is.

    Raises:
        SystemExit: there is no such model or no token, or the Hub does not take it.
    """
    parser = argparse.ArgumentParser(
        "python -m workflow.hub", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    push_parser = parser.add_subparsers(required=True, metavar="push").add_parser("push", help="upload a model")
    push_parser.add_argument("run", help="an entry of `runs` in params.yaml that is built")
    push_parser.add_argument("name", metavar="owner/name", help="the repository on the Hub")
    push_parser.add_argument("--private", action="store_true", help="make a new repository private")
    options = parser.parse_args()

    try:
        print(push(model_folder(options.run), options.name, f"Upload {options.run}", options.private))
    except Failure as error:
        sys.exit(f"workflow.hub: error: {error}")


def model_folder(run: str) -> Path:
    """Return the folder of a run's model.

    Raises:
        Failure: a file is missing or damaged.
    """
    folder = result_dir("pretrain", run) / "model"
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        raise Failure(f"{folder}: has no {missing[0]}; build it first: dvc repro pretrain@{run}")
    saved_backbone.load(folder, torch.device("cpu"))
    return folder


def push(folder: Path, name: str, message: str, private: bool = False) -> str:
    """Upload a model folder in one commit and return the address of the repository.

    Args:
        folder: `model/` of a pretraining.
        name: `owner/name`; the repository is made if there is none.
        message: the subject of the commit.
        private: whether a new repository is private; else it is as the owner has set.

    Raises:
        Failure: the name is none of a repository, there is no token, or the Hub does not take the model.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise Failure(f"{name}: no name of a repository on the Hub; it is owner/name")
    from huggingface_hub import HfApi, get_token  # takes a second, which the checks above need not

    if not (token := get_token()):
        raise Failure("no token of the Hub; set HF_TOKEN to one that may write, or run: hf auth login")
    hub = HfApi(token=token)
    try:
        repository = hub.create_repo(name, private=private or None, exist_ok=True)
        hub.upload_folder(repo_id=name, folder_path=folder, allow_patterns=FILES, commit_message=message)
    except Exception as error:  # the Hub's client raises errors of many types
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Failure(f"{name}: the Hub does not take the model ({reason})") from error
    return str(repository)


if __name__ == "__main__":
    main()
