"""YAML of others: what it does not mean, and what would not end, is refused by its line."""

from __future__ import annotations

import pytest
import yaml

from lookup_tables.yaml_text import MAX_DEPTH, read_yaml_text

BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n + 1}: &a{n + 1} [{','.join([f'*a{n}'] * 10)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "line 5: with its aliases it is more than 100,000 values"),
        ("a: 1\nb:\n  c: 2\n  c: 3\n", "line 4: 'c' is there twice"),
        ("a: " + "[" * 5000 + "]" * 5000, f"nested deeper than {MAX_DEPTH} levels"),
        ("a: &a [1, *a]", "line 1: an alias is part of what it names"),
        ("names: [a, b", "expected ',' or ']'"),
        ("{010: a, 10: b}", "line 1: '10' is there twice"),
        ("{8: a, 0o10: b}", "line 1: '0o10' is there twice"),
    ],
)
def test_what_is_not_meant_is_refused_by_its_line(text: str, said: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011  # its text is looked at
        read_yaml_text(text)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_more_values_are_read_where_that_is_asked_for() -> None:
    text = "[" + "1," * 100_001 + "1]"
    with pytest.raises(ValueError, match="more than 100,000 values"):
        read_yaml_text(text)
    assert len(read_yaml_text(text, max_values=200_000)) == 100_002
    assert read_yaml_text("[<<b>>, a]") == ["<<b>>", "a"]


def test_numbers_and_words_are_those_of_yaml_1_2() -> None:
    text = "[010, 0o10, 0x1F, 1e0, .5, 1_0, 1:30, yes, no, on, true, ~, 2020-01-01, '1', .inf]"
    values = [10, 8, 31, 1.0, 0.5, "1_0", "1:30", "yes", "no", "on", True, None, "2020-01-01"]
    found = read_yaml_text(text)
    assert found == [*values, "1", float("inf")]
    assert [type(one) for one in found[:4]] == [int, int, int, float]
    written = [
        "010",
        "0o10",
        "0x1F",
        "1e0",
        ".5",
        "1_0",
        "1:30",
        "yes",
        "no",
        "on",
        "true",
        "~",
        "2020-01-01",
        "1",
        ".inf",
    ]
    assert read_yaml_text(text, as_written=True) == written


@pytest.mark.parametrize(
    "text",
    ["", "a: 1", "- 1\n- '1'\n", "one: &o {x: 1}\ntwo: {<<: *o, y: 2}\n", "1: a\n'1': b\n"],
)
def test_the_rest_means_what_it_meant(text: str) -> None:
    assert read_yaml_text(text) == yaml.safe_load(text)


def test_a_value_that_does_not_suit_its_tag_is_no_yaml() -> None:
    with pytest.raises(ValueError, match="does not suit its tag"):
        read_yaml_text("kernel: !!bool maybe")
