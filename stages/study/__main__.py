"""Write the JSON Schema of a study, for editors and for people."""

from stages.study import SCHEMA, schema

SCHEMA.write_text(schema(), encoding="utf-8")
