"""The JSON schema of problem files: as it stands in docs/, and what fits it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pinnderiv.json_schema import problem_schema
from tests.problems.pde_cases import ALL

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = problem_schema()
NAMES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}
# All that the schema says anything with; a keyword beyond these would not be looked at here.
KEYWORDS = {
    *("$schema", "$ref", "$defs", "title", "description", "type", "const", "anyOf"),
    *("properties", "required", "additionalProperties", "minProperties", "maxProperties"),
    *("items", "minItems", "maxItems", "minimum"),
}


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value fits a schema, as far as this schema's keywords go."""
    assert set(schema) <= KEYWORDS, schema
    if "$ref" in schema:
        return fits(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema and not any(fits(value, each) for each in schema["anyOf"]):
        return False
    if "const" in schema and value != schema["const"]:
        return False
    wanted = schema.get("type", list(NAMES))
    kinds = [wanted] if isinstance(wanted, str) else wanted
    if not any(
        isinstance(value, NAMES[kind]) and (kind == "boolean") == isinstance(value, bool)
        for kind in kinds
    ):
        return False
    if isinstance(value, dict):
        return _mapping_fits(value, schema)
    if isinstance(value, list):
        return schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 10**6) and all(
            fits(each, schema.get("items", {})) for each in value
        )
    return not isinstance(value, int | float) or value >= schema.get("minimum", value)


def _mapping_fits(value: dict[str, Any], schema: dict[str, Any]) -> bool:
    others = schema.get("additionalProperties", {})
    known = schema.get("properties", {})
    return (
        set(schema.get("required", ())) <= set(value)
        and schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", 10**6)
        and all(
            fits(each, known[key]) if key in known else others is not False and fits(each, others)
            for key, each in value.items()
        )
    )


def read(text: str) -> Any:
    """As editors read YAML 1.2: true is text where it is a key."""
    return _renamed(yaml.safe_load(text))


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {"true" if k is True else k: _renamed(each) for k, each in value.items()}
    return [_renamed(each) for each in value] if isinstance(value, list) else value


def examples() -> dict[str, str]:
    found = dict(ALL)
    docs = (ROOT / "docs/problems.md").read_text(encoding="utf-8")
    for block in re.findall(r"```yaml\n(.*?)```", docs, re.DOTALL):
        if "\nequation:" in block:
            found[block.splitlines()[0]] = block
    for path in (ROOT / "conf/problem").glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        if "schema/problem/pde@" in text:
            found[path.stem] = re.sub(r"(?m)^defaults:\n(  - .*\n)+", "", text)
    return found


@pytest.mark.parametrize("text", examples().values(), ids=examples().keys())
def test_what_is_a_problem_fits(text: str) -> None:
    assert fits(read(text), SCHEMA)


HEAT = read("""
coordinates: [x, t]
time: [0, 1]
domain: {interval: [0, 1]}
parameters: {nu: {trainable: 1, true: 2}}
equation: u_t = nu*u_xx
conditions: {ends: {value: 0}, start: {kind: initial, value: 0}}
""")


@pytest.mark.parametrize(
    "changes",
    [
        {"equations": "u_t"},
        {"coordinates": "x"},
        {"time": [0]},
        {"domain": {"intervall": [0, 1]}},
        {"domain": {"interval": [0, 1], "box": {"lower": 0, "upper": 1}}},
        {"domain": {"ball": {}}},
        {"domain": {"union": [{"interval": [0, 1]}]}},
        {"equation": 3},
        {"parameters": {"nu": {"trainabel": 1}}},
        {"parameters": {"nu": None}},
        {"conditions": [1]},
        {"conditions": {"ends": {"vale": 0}}},
        {"conditions": {"ends": {"kind": "dirichle"}}},
        {"conditions": {"ends": {"kind": "robin", "value": 0}}},
        {"conditions": {"ends": {"value": 0, "weight": -1}}},
    ],
)
def test_what_is_none_does_not(changes: dict[str, Any]) -> None:
    assert fits(HEAT, SCHEMA)
    assert not fits({**HEAT, **changes}, SCHEMA)


def test_only_what_is_in_time_alone_has_no_domain() -> None:
    without = {key: each for key, each in HEAT.items() if key != "domain"}
    assert not fits(without, SCHEMA)
    assert fits({**without, "coordinates": ["t"]}, SCHEMA)
    del without["time"]
    assert not fits({**without, "coordinates": ["t"]}, SCHEMA)


def test_the_file_is_the_generated_one() -> None:
    stored = json.loads((ROOT / "docs/problem.schema.json").read_text(encoding="utf-8"))
    assert stored == SCHEMA, "python -m pinnderiv.json_schema > docs/problem.schema.json"
