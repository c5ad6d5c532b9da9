"""Write the JSON Schema of a study, for editors and for people: `python -m workflow.schema`."""

import json
from pathlib import Path

from whole_in_parts.config.study import Study

SCHEMA = Path("workflow/params.schema.json")


def schema() -> str:
    """The JSON Schema of a study, as it stands in `workflow/params.schema.json`."""
    return json.dumps(Study.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema(), encoding="utf-8")
