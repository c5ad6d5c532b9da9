"""The names of the metrics of a probe."""


def suffix(representation: str = "whole", percent: int = 100) -> str:
    """What the name of a probe's metric ends with, if it is not of the global representation by all labels."""
    of = "" if representation == "whole" else f"_{representation}"
    return of if percent == 100 else f"{of}_labels_{percent}"
