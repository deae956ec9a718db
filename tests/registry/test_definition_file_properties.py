"""Entries written as YAML and JSON are read back as they were."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from noria.registry import ConfigurationError, Kind, load

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
plain = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
names = st.from_regex(r"[A-Za-z0-9_./-]{1,8}", fullmatch=True)
namespaces = st.from_regex(r"[A-Za-z0-9_-]{1,4}(\.[a-z0-9_-]{1,4}){0,2}", fullmatch=True)
entries = st.dictionaries(
    names,
    st.tuples(st.dictionaries(texts, plain, max_size=3), st.dictionaries(texts, plain, max_size=3)),
    max_size=4,
)
applications = st.dictionaries(namespaces, entries, max_size=3)


@attrs.frozen
class Free:
    value: Mapping[str, Any] = attrs.field(factory=dict)


KINDS = [Kind("free", Free)]


class CoreDumper(yaml.SafeDumper):
    """Quotes whatever is not a plain word: PyYAML quotes by YAML 1.1, in which 0E0 is a text."""

    def represent_text(self, text):
        is_word = text.isascii() and text.isalpha() and text.lower() not in {"true", "false", "null"}
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_word else '"')


CoreDumper.add_representer(str, CoreDumper.represent_text)


def is_resolvable(value):
    """Without placeholders, references to files, and what meta means to noria itself."""
    text = json.dumps(value)
    return "${" not in text and "file:" not in text and "depends_on" not in text


def shapes(namespace, declared):
    return {
        "version": "1.0",
        "namespace": namespace,
        "entries": [
            {"name": name, "kind": "free", "meta": meta, "value": value}
            for name, (value, meta) in declared.items()
        ],
    }


@settings(max_examples=150, deadline=None)
@given(applications.filter(is_resolvable), st.sampled_from(["yaml", "json", "flow"]))
def test_what_is_written_is_what_is_read(application, form):
    with tempfile.TemporaryDirectory() as directory:
        for number, (namespace, declared) in enumerate(application.items()):
            document = shapes(namespace, declared)
            dumped = (
                json.dumps(document)
                if form == "json"
                else yaml.dump(
                    document, Dumper=CoreDumper, allow_unicode=True, default_flow_style=form == "flow"
                )
            )
            Path(directory, f"{number}.{'json' if form == 'json' else 'yaml'}").write_text(
                dumped, encoding="utf-8"
            )
        registry = load(directory, KINDS, environ={})

    expected = {
        f"{namespace}:{name}": (value, meta)
        for namespace, declared in application.items()
        for name, (value, meta) in declared.items()
    }
    assert {str(entry.id): (entry.data["value"], entry.meta) for entry in registry} == expected
    assert {str(entry.id): entry.config.value for entry in registry} == {
        key: value for key, (value, _) in expected.items()
    }


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=40) | st.text("namespace: etri[]{}-#&*!|>'\"%@`\n\t <0", max_size=60).map(str.encode)
)
def test_no_file_ends_in_anything_but_a_registry_or_a_configuration_error(content):
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "app.yaml").write_bytes(b"namespace: app\nentries:\n" + content)
        Path(directory, "app.json").write_bytes(b'{"namespace": "app", "entries": ' + content)
        try:
            told = [str(problem) for problem in load(directory, KINDS, environ={}) if problem is None]
        except ConfigurationError as error:
            told = [str(problem) for problem in error.problems]

    assert all(line and line.isprintable() for line in told)
