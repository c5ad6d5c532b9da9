"""Write the JSON Schema of a study, for editors and for people."""

from stages.study import SCHEMA, schema

if __name__ == "__main__":
    SCHEMA.write_text(schema(), encoding="utf-8")
