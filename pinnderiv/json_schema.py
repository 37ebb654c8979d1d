"""The JSON schema of problem files, for editors: ``python -m pinnderiv.json_schema``.

It is made from the dataclass :class:`~pinnderiv.schema.problems.PDEConfig` and from the tables that
the files are read with, so that it cannot say anything else than they do.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from typing import Any

from pinnderiv.problems.geometry import SHAPES
from pinnderiv.problems.kinds import KEYS
from pinnderiv.schema.missing import MISSING
from pinnderiv.schema.problems import PDEConfig

_NUMBER = {"type": ["number", "string"], "description": "a number, or text such as 2*pi"}
_FIELD = {"type": ["number", "string"], "description": "a number, or text in the coordinates"}
_TEXTS = {"type": ["string", "number", "array", "object"]}
_TYPES: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    str | None: {"type": ["string", "null"]},
    list[str]: {"type": "array", "items": {"type": "string"}},
}


def _parameter() -> dict[str, Any]:
    network = {
        "width": {"type": "integer", "minimum": 1},
        "depth": {"type": "integer", "minimum": 1},
        "positive": {"type": "boolean"},
    }
    return {
        "type": "object",
        "properties": {
            "value": _FIELD,
            "trainable": _NUMBER,
            "true": _NUMBER,
            "file": {"type": "string"},
            "network": {"type": "object", "properties": network, "additionalProperties": False},
        },
        "additionalProperties": False,
    }


_OF_KEY: dict[str, dict[str, Any]] = {
    "lower": {"type": ["number", "string", "array"]},
    "upper": {"type": ["number", "string", "array"]},
    "center": {"type": "array", "items": _NUMBER},
    "radii": {"type": "array", "items": _NUMBER},
    "point": {"type": "array", "items": _NUMBER},
    "normal": {"type": "array", "items": _NUMBER},
    "vertices": {"type": "array", "items": {"type": "array", "items": _NUMBER}, "minItems": 3},
    "radius": _NUMBER,
    "angle": _NUMBER,
    "weight": {"type": "number", "minimum": 0},
    "value": {"type": ["number", "string", "object"]},
    "alpha": _FIELD,
    "beta": _FIELD,
    "points": {"type": "array", "items": {"type": "array", "items": _NUMBER}},
    "values": {"type": ["string", "array"], "items": _NUMBER},
    "equation": {
        "type": ["string", "array", "object"],
        "items": {"type": "string"},
        "additionalProperties": {"type": "string"},
    },
    "shape": {"$ref": "#/$defs/shape"},
}
_OF_FIELD: dict[str, dict[str, Any]] = {
    "time": {"type": ["array", "null"], "items": _NUMBER, "minItems": 2, "maxItems": 2},
    "domain": {"$ref": "#/$defs/shape"},
    "equation": _OF_KEY["equation"],
    "source": {"type": ["string", "number", "array", "object", "null"]},
    "exact": {"type": ["string", "number", "array", "object", "null"]},
    "conditions": {"type": "object", "additionalProperties": {"$ref": "#/$defs/condition"}},
    "parameters": {
        "type": "object",
        "additionalProperties": {
            "anyOf": [
                _NUMBER,
                {"type": "array", "items": _FIELD, "minItems": 2},
                _parameter(),
            ]
        },
    },
}


def problem_schema() -> dict[str, Any]:
    """The schema of a problem file, as a dictionary."""
    hints = typing.get_type_hints(PDEConfig)
    fields = [each for each in dataclasses.fields(PDEConfig) if not each.name.startswith("_")]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A problem of pinnderiv",
        "type": "object",
        "additionalProperties": False,
        "required": [each.name for each in fields if each.default is MISSING],
        # what is in time alone has no shape in space
        "anyOf": [
            {"required": ["domain"]},
            {"required": ["time"], "properties": {"coordinates": {"const": ["t"]}}},
        ],
        "properties": {
            each.name: _OF_FIELD.get(each.name) or _TYPES[hints[each.name]] for each in fields
        },
        "$defs": {"shape": _shape(), "condition": _condition()},
    }


def _shape() -> dict[str, Any]:
    kinds: dict[str, Any] = {}
    for kind, keys in SHAPES.items():
        if keys is not None:
            kinds[kind] = _mapping(*keys)
        elif kind == "interval":
            ends = {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}
            kinds[kind] = {
                "anyOf": [ends, _mapping(("lower", "upper", "name"), ("lower", "upper"))]
            }
        else:
            kinds[kind] = {"type": "array", "items": {"$ref": "#/$defs/shape"}, "minItems": 2}
    return {
        "type": "object",
        "properties": kinds,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }


def _condition() -> dict[str, Any]:
    alternatives = []
    for kind, (known, required) in KEYS.items():
        mapping = _mapping(known, required)
        mapping["properties"]["kind"] = {"const": kind}
        if kind != "dirichlet":  # the kind of an entry that names none
            mapping["required"] = ["kind", *required]
        alternatives.append(mapping)
    return {"anyOf": alternatives}


def _mapping(known: tuple[str, ...], required: tuple[str, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {key: _OF_KEY.get(key, {"type": "string"}) for key in known},
        "required": list(required),
        "additionalProperties": False,
    }


if __name__ == "__main__":
    print(json.dumps(problem_schema(), indent=2))
