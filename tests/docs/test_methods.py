"""The table of defaults in docs/methods.md says what the options say."""

import json
import re

from whole_in_parts.config.section import Section
from whole_in_parts.config.training import LARS, SGD, AdamW
from whole_in_parts.config.variants import variants


def defaults(classes: dict[str, type[Section]]) -> dict[str, object]:
    """The defaults of all options that may be left out, as JSON has them."""
    return {
        f"{name}.{option}": json.loads(json.dumps(field.default))
        for name, cls in classes.items()
        for option, field in cls.model_fields.items()
        if not field.is_required()
    }


def test_every_default_of_a_method_a_modifier_or_an_optimizer_is_in_the_table_with_its_source(root):
    text = (root / "docs/methods.md").read_text()
    section = text.partition("### D.1 Defaults")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\S+)` \| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    found = {option: json.loads(value) for option, value, _ in rows}
    optimizers = {"sgd": SGD, "adamw": AdamW, "lars": LARS}
    assert found == defaults(variants("methods") | variants("modifiers") | optimizers)
    assert len(found) == len(rows)
