"""Write docs/params.md, the reference of `params.yaml`, from the options: `python -m workflow.reference`.

A section of the page is a class of options, in the order in which `params.yaml` reaches them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from whole_in_parts.config.study import Study

PAGE = Path(__file__).parents[1] / "docs/params.md"
HEAD = """# Reference of params.yaml

Every option, with its type, its default and what it does. Options without a default must be given. Of options with a
`name`, such as `method`, the name chooses the class. `workflow/params.schema.json` says the same to an editor.
This page is written by `python -m workflow.reference`.
"""
BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minItems": "at least {}",
    "maxItems": "at most {}",
}


def main() -> None:
    """Rewrite the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Return the whole page."""
    schema = Study.model_json_schema()
    definitions = schema["$defs"]
    sections = [section("params.yaml", schema)]
    sections += [section(name, definitions[name]) for name in reachable(schema["properties"], definitions)]
    return HEAD + "".join(sections)


def reachable(schema: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    """List the definitions with options, in the order in which they are first referred to, breadth first."""
    names: dict[str, None] = {}
    queue = [schema]
    while queue:
        for name in references(queue.pop(0)):
            if name not in names:
                names[name] = None
                queue.append(definitions[name])
    return [name for name in names if definitions[name].get("properties")]


def references(part: Any) -> Iterator[str]:
    """Yield the names of the definitions that a part of a schema refers to."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"].rpartition("/")[2]
        for name, inner in part.items():
            if name != "discriminator":
                yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def section(heading: str, schema: dict[str, Any]) -> str:
    """Return the section of a class: its description and a row for each option."""
    lines = ["", f"## {label(heading)}", "", one_line(schema.get("description", "")), ""]
    lines += ["| option | type | default | |", "|---|---|---|---|"]
    required = schema.get("required", [])
    for name, option in schema["properties"].items():
        default = "" if name in required else f"`{json.dumps(option.get('default'), ensure_ascii=False)}`"
        if "default" not in option and name not in required:
            default = "empty"
        cells = [f"`{name}`", type_of(option), default, one_line(option.get("description", ""))]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def one_line(text: str) -> str:
    return " ".join(text.split())


def type_of(option: dict[str, Any]) -> str:
    """Describe the type of an option, with its bounds."""
    if "$ref" in option:
        return link(option["$ref"].rpartition("/")[2])
    if "const" in option:
        return f"`{option['const']}`"
    if "enum" in option:
        return " or ".join(f"`{value}`" for value in option["enum"])
    if parts := option.get("anyOf") or option.get("oneOf"):
        return " or ".join(dict.fromkeys(type_of(part) for part in parts))

    bounds = ", ".join(text.format(option[name]) for name, text in BOUNDS.items() if name in option)
    return f"{kind(option)}{f' ({bounds})' if bounds else ''}"


def kind(option: dict[str, Any]) -> str:
    """Describe a type without its bounds."""
    match option.get("type"):
        case "array":
            inner = option.get("items") or (option.get("prefixItems") or [{}])[0]
            return f"list of {type_of(inner)}"
        case "object":
            inner = option.get("additionalProperties") or next(iter(option.get("patternProperties", {}).values()), None)
            return f"mapping of names to {type_of(inner)}" if isinstance(inner, dict) else "mapping"
        case None:
            return "anything"
        case name:
            return {"null": "`null`", "integer": "whole number", "string": "text"}.get(name, name)


def label(name: str) -> str:
    """Return the name of a class; classes of one name are told apart by their packages."""
    *package, own = name.split("__")
    return f"{own} of {package[-2]}" if package else own


def link(name: str) -> str:
    """Link to the section of a class."""
    return f"[{label(name)}](#{label(name).lower().replace(' ', '-')})"


if __name__ == "__main__":
    main()
