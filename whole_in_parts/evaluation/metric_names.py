"""Names of the metrics of a probe."""


def suffix(representation: str = "global", percent: int = 100) -> str:
    """Build the ending of a metric's name; it is empty for the global representation with all labels."""
    ending = "" if representation == "global" else f"_{representation}"
    return ending if percent == 100 else f"{ending}_labels_{percent}"
