"""Every key of a TOML file has its line and column, and a file that is no TOML says where."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from bridge.config.load import Place, nearest, read_document, written
from bridge.errors import ConfigError
from said import said

TEXT = """\
# comment
[a.b]
x = 1
"é".y = { h = 2, i.j = [ {k=1}, {k=2} ] }  # an inline table with a list

[[list]]
q = 1
  [[list]]
q = [
  10,
  # between
  20 ]
[list.sub]
"with \\"quotes\\"" = 'z'
"""

PLACES = {
    ("a",): (2, 2),
    ("a", "b"): (2, 4),
    ("a", "b", "x"): (3, 1),
    ("a", "b", "é"): (4, 1),
    ("a", "b", "é", "y"): (4, 5),
    ("a", "b", "é", "y", "h"): (4, 11),
    ("a", "b", "é", "y", "i", "j"): (4, 20),
    ("a", "b", "é", "y", "i", "j", 1): (4, 33),
    ("a", "b", "é", "y", "i", "j", 1, "k"): (4, 34),
    ("list", 0, "q"): (7, 1),
    ("list", 1): (8, 5),
    ("list", 1, "q", 0): (10, 3),
    ("list", 1, "q", 1): (12, 3),
    ("list", 1, "sub", 'with "quotes"'): (14, 1),
}


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_key_has_its_line_and_column(tmp_path: Path, line_end: str, mark: str) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes((mark + TEXT.replace("\n", line_end)).encode())
    document = read_document(file)
    for key, (line, column) in PLACES.items():
        assert document.place_of(key) == Place(line=line, column=column), key


def test_every_value_of_the_file_is_found_under_a_remembered_key(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(TEXT, encoding="utf-8")
    document = read_document(file)

    def walk(key: tuple[str | int, ...], value: object) -> None:
        if key:
            assert key in document.places
        entries = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for name, one in entries:
            walk((*key, name), one)

    walk((), document.data)


def test_a_key_that_is_not_written_is_placed_at_the_table_around_it(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("\n\n[receive]\n", encoding="utf-8")
    document = read_document(file)
    assert document.place_of(("receive", "port", "x")) == Place(line=3, column=2)
    assert document.place_of(("other",)) == Place(line=1, column=1)


NO_TOML = [
    (
        "a = 1\nb = yes\n",
        2,
        'invalid value. Text needs quotes: key = "text"; yes and no are written true and false',
    ),
    ("a = 1\nb = 2\na = 3\n", 3, "cannot overwrite a value. The key is written twice: keep one of them"),
    ("[t.u]\nx=1\n[t.u]\n", 3, "cannot declare [t.u] twice. The table is written twice: join the two"),
    ("a = 1\nb = [1,\n2\nc = 3\n", 2, "unclosed array. Close the list with ]"),
    (
        'a = 1\nb = "text\n',
        2,
        "illegal character '\\n'. Close the text with a quotation mark on the same line",
    ),
    ('a = "C:\\data"\n', 1, "unescaped '\\' in a string. Double the backslash, or use single quotes: 'text'"),
    (
        "[bridge\nx = 1\n",
        1,
        "expected ']' at the end of a table declaration. Close the name of the table with ]",
    ),
]


@pytest.mark.parametrize(("text", "line", "message"), NO_TOML)
def test_a_file_that_is_no_toml_says_line_and_remedy(
    tmp_path: Path, text: str, line: int, message: str
) -> None:
    file = tmp_path / "a.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_document(file)
    assert said(caught.value) == f"{line}: not valid TOML: {message}"
    assert str(caught.value).startswith(f"{file}:{line}:{caught.value.column}: ")
    assert caught.value.column >= 1
    assert caught.value.code == "CFG-002"


def test_a_missing_file_and_a_foreign_encoding_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be opened \\(no such file or directory\\)") as caught:
        read_document(tmp_path / "none.toml")
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    latin = tmp_path / "latin.toml"
    latin.write_bytes('a = "é"'.encode("latin-1"))
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_document(latin)


def test_keys_are_written_as_in_the_file() -> None:
    assert written(("rules", "a b", "retry_s", 2, "x-y")) == 'rules."a b".retry_s[2].x-y'


def test_nearest_spelling_ignores_case_and_gives_up() -> None:
    assert nearest("QUIET", ("quiet_s", "port")) == "quiet_s"
    assert nearest("zzz", ("quiet_s", "port")) is None


def test_a_problem_keeps_the_others_through_pickle() -> None:
    other = ConfigError("CFG-004", "b", file="f", line=2)
    error = pickle.loads(pickle.dumps(ConfigError("CFG-003", "a", file="f", line=1, others=(other,))))
    assert str(error) == "f:1: a"
    assert [str(one) for one in error.others] == ["f:2: b"]
