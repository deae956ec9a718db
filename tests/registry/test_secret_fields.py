"""Fields that hold a secret: whatever is wrong with one, nobody is told what it holds."""

import attrs
import pytest
from attrs.validators import matches_re

from noria.registry import ConfigurationError, Create, Kind, Kinds, load, read_options, secret


def _not_like_this(_instance, _attribute, value):
    raise ValueError(f"a key such as {value} is not good enough")


@attrs.frozen(kw_only=True)
class Safe:
    key: str = secret(default="")
    pin: str | None = secret(default=None)
    weak: str | None = secret(default=None, validator=attrs.validators.optional(_not_like_this))
    code: str = secret(default="AB", validator=matches_re("[A-Z]+"))
    keys: tuple[str, ...] = secret(default=())


KINDS = Kinds([Kind("safe", Safe)])

WRONG = {
    "key: 918273": "expected text, found a number, which is not shown; put it in quotes",
    "key: 91.8273": "expected text, found a number, which is not shown; put it in quotes",
    "key: true": "expected text, found true, which is not shown",
    "key: [918273]": "expected text, found a list, which is not shown",
    "pin: 918273": "expected text, found a number, which is not shown; put it in quotes",
    "weak: s918273": "not valid",
    "code: s918273": "not valid",
    "keys: s918273": "expected a list, found a text, which is not shown",
    "keys: [good, 918273]": "expected text, found a number, which is not shown; put it in quotes",
}


@pytest.mark.parametrize(("line", "told"), WRONG.items(), ids=WRONG)
def test_what_is_wrong_with_a_secret_is_told_without_it(tmp_path, line, told):
    (tmp_path / "app.yaml").write_text(
        f"namespace: app\nentries:\n  - name: box\n    kind: safe\n    {line}\n"
    )

    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, KINDS)

    assert str(caught.value).endswith(f": {told}")
    assert "8273" not in str(caught.value) + repr(caught.value)


def test_a_change_does_not_tell_it_either(tmp_path):
    (tmp_path / "app.yaml").write_text("namespace: app\nentries: []\n")
    registry = load(tmp_path, KINDS)

    with pytest.raises(ConfigurationError) as caught:
        registry.apply([Create("app:box", "safe", {"key": 918273})])

    assert "expected text, found a number" in str(caught.value)
    assert "8273" not in str(caught.value)


def test_options_do_not_tell_it_either():
    _, complaints = read_options({"key": 918273}, Safe)

    assert complaints == [(("key",), "expected text")]


def test_a_secret_is_in_no_repr():
    assert "8273" not in repr(Safe(key="s918273"))
