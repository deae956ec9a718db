"""`json.validate`: what fits, what does not, and what a schema cannot do to the process."""

import json
from functools import partial

import pytest

from noria.actors.functions.lua.modules import schemas
from noria.actors.functions.lua.modules.schemas import MOST, Schemas

TASK = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}}},
    "additionalProperties": False,
}


@pytest.fixture
def validate(lua):
    run = lua(
        """
        local name, schema, value = ...
        local fits, err = require("json")[name](schema, value)
        return { fits, err and err:kind(), err and err:message() }
        """,
        modules="json",
    )
    return partial(run, "validate")


@pytest.mark.parametrize("schema", [TASK, json.dumps(TASK)], ids=["table", "text"])
def test_a_value_fits_or_it_is_said_why_and_where_it_does_not(validate, schema):
    assert validate(schema, {"id": 1, "tags": ["a"]}) == [True]
    assert validate(schema, {"id": 1, "tags": [2]}) == [
        *(False, "Invalid", "json.validate: $.tags[0]: 2 is not of type 'string'"),
    ]
    assert validate(schema, {"id": 1, "more": 2}) == [
        *(False, "Invalid", "json.validate: $: the property 'more' is not allowed"),
    ]


def test_the_text_of_a_value_is_validated_too(lua):
    run = lua(
        """
        local json = require("json")
        local function tell(...)
          local fits, err = json.validate_string(...)
          return fits or err:kind() .. ": " .. err:message()
        end
        return {
          tell({ type = "integer" }, "1"), tell({ type = "null" }, "null"), tell({ type = "integer" }, "{"),
          tell({ type = "integer" }, 1), tell(nil, "1"),
        }
        """,
        modules="json",
    )

    told = run()

    assert told[:2] == [True, True]
    assert told[2:] == [
        "Invalid: json.validate: the text is no JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        "Invalid: json.validate: expected a JSON text",
        "Invalid: json.validate: expected a schema, a table or a text",
    ]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (None, 1),
        ({}, None),
        (1, 1),
        ("{", 1),
        ({"type": "nothing"}, 1),
        ({"pattern": "("}, "x"),
        ({"pattern": "(?=x)"}, "x"),
        ({"$ref": "#"}, 1),
        ({"patternProperties": {"a": {}}, "unevaluatedProperties": False}, {"a": 1}),
    ],
)
def test_what_cannot_be_validated_is_invalid(validate, schema, value):
    fits, kind, _ = validate(schema, value)

    assert (fits, kind) == (False, "Invalid")


def test_nothing_is_fetched_for_a_schema(validate, tmp_path):
    (tmp_path / "schema.json").write_text('{"type": "integer"}')

    fits, _, message = validate({"$ref": (tmp_path / "schema.json").as_uri()}, 1)

    assert not fits
    assert "Unresolvable" in message


SLOW = "^(a+)+$"
TEXT = "a" * 40 + "!"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"pattern": SLOW}, TEXT),
        ({"patternProperties": {SLOW: False}, "additionalProperties": False}, {TEXT: 1}),
        (
            {"properties": {"x": {"$schema": "http://json-schema.org/draft-07/schema#", "pattern": SLOW}}},
            {"x": TEXT},
        ),
    ],
)
def test_a_regular_expression_of_a_schema_takes_linear_time(validate, schema, value):
    """Python's own would take years, and hold all of the process meanwhile."""
    assert validate(schema, value)[0] is False


def test_properties_that_a_pattern_names_are_no_additional_ones(validate):
    schema = {"patternProperties": {"^x_": {"type": "integer"}}, "additionalProperties": {"type": "string"}}

    assert validate(schema, {"x_1": 1, "other": "a"})[0] is True
    assert validate(schema, {"x_1": "a"})[0] is False
    assert validate(schema, {"other": 1})[0] is False


def test_the_schemas_that_were_used_last_stay_compiled():
    kept = Schemas()

    for number in range(MOST + 20):
        kept.problem(json.dumps({"const": number}), number)

    assert len(kept) == MOST


def test_json_has_no_word_for_what_is_no_number(lua):
    run = lua("local _, err = require('json').decode('[NaN]') return err:kind()", modules="json")

    assert run() == "Internal"


def test_references_that_double_the_work_at_each_step_are_followed_no_further(validate, monkeypatch):
    monkeypatch.setattr(schemas, "MOST_REFERENCES", 1000)
    steps = {f"s{index}": {"allOf": [{"$ref": f"#/$defs/s{index + 1}"}] * 2} for index in range(60)}

    fits, _, message = validate({"$defs": {**steps, "s60": {"type": "integer"}}, "$ref": "#/$defs/s0"}, 1)

    assert not fits
    assert "more than 1000 references" in message
