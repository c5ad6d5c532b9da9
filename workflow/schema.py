"""Write the JSON Schema of params.yaml, for editors and readers: `python -m workflow.schema`."""

import json
from pathlib import Path

from whole_in_parts.config.study import Study

SCHEMA = Path("workflow/params.schema.json")


def schema() -> str:
    """Return the content of `workflow/params.schema.json`."""
    return json.dumps(Study.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema(), encoding="utf-8")
