"""CSV: rows come back as they were, through our reader and through the standard library's."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import datetime as dt
import decimal
import enum
import io
import math
import uuid
from collections import OrderedDict
from types import MappingProxyType
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serializers import CsvDeserializer, CsvSerializer, DeserializeError, SerializeError

NASTY = st.text(st.sampled_from("ab ,;\t\"'\r\n\\\u00e9NUL|"), max_size=8) | st.text(max_size=8)
SHAPES = st.fixed_dictionaries(
    {},
    optional={
        "delimiter": st.sampled_from(",;\t|"),
        "quotechar": st.sampled_from("\"'`"),
        "quoting": st.sampled_from(["minimal", "all", "nonnumeric"]),
        "null": st.sampled_from(["", "NULL", "\\N"]),
    },
)


class Shade(enum.Enum):
    DARK = "dark, very"


@dataclasses.dataclass
class Product:
    name: str
    id: int


class Pair(NamedTuple):
    name: str
    id: int


@given(row=st.lists(NASTY | st.none(), min_size=1, max_size=5), shape=SHAPES)
def test_rows_round_trip(row, shape):
    """
    Delimiters, quotes, line breaks, empty text and None come back as what they were.
    """
    columns = [f"c{index}" for index in range(len(row))]
    data = CsvSerializer(columns, **shape)(row)

    assert dict(zip(columns, row, strict=True)) == CsvDeserializer(columns, **shape)(data)


@given(row=st.lists(NASTY, min_size=1, max_size=5), shape=SHAPES)
def test_the_standard_library_reads_the_same(row, shape):
    """
    Python's csv module finds the same fields in the line.
    """
    line = CsvSerializer([f"c{index}" for index in range(len(row))], **shape)(row).decode()
    read = csv.reader(
        io.StringIO(line, newline=""),
        delimiter=shape.get("delimiter", ","),
        quotechar=shape.get("quotechar", '"'),
    )

    assert [row] == list(read)


@given(row=st.lists(NASTY, min_size=1, max_size=5))
def test_what_the_standard_library_writes_is_read(row):
    """
    A line of Python's csv writer is read field by field, its empty fields as None.
    """
    out = io.StringIO(newline="")
    csv.writer(out).writerow(row)
    line = out.getvalue().removesuffix("\r\n")
    read = CsvDeserializer([f"c{index}" for index in range(len(row))])

    # csv writes an empty field without quotes, unless it is the only one.
    expected = row if len(row) == 1 else [field or None for field in row]
    # It also quotes a little more than RFC 4180 asks for, which is read all the same.
    assert expected == list(read(line.encode()).values())


@pytest.mark.parametrize(
    "row",
    [
        {"name": "x", "id": 7},
        {"id": 7, "name": "x"},
        OrderedDict(id=7, name="x"),
        MappingProxyType({"id": 7, "name": "x"}),
        [7, "x"],
        (7, "x"),
        Product("x", 7),
        Pair("x", 7),
    ],
)
def test_the_order_is_that_of_the_columns(row):
    """
    Mappings, dataclasses and named tuples go by name, lists and plain tuples by position.
    """
    assert CsvSerializer(["id", "name"])(row) == b"7,x"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (-1.5, "-1.5"),
        (math.nan, "nan"),
        (True, "true"),
        (False, "false"),
        (None, ""),
        ("", '""'),
        ("a\nb", '"a\nb"'),
        ('say "hi"', '"say ""hi"""'),
        (decimal.Decimal("1.10"), "1.10"),
        (dt.datetime(2024, 5, 6, 7, 8, tzinfo=dt.UTC), "2024-05-06T07:08:00+00:00"),
        (dt.date(2024, 5, 6), "2024-05-06"),
        (dt.time(1, 2), "01:02:00"),
        (uuid.UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        (Shade.DARK, '"dark, very"'),
    ],
)
def test_values_have_one_form(value, text):
    """
    Each type has its documented text, quoted where it must be, alone and beside others.
    """
    assert text == CsvSerializer(["a"])([value]).decode()
    assert f"x,{text},1" == CsvSerializer(["a", "b", "c"])(["x", value, 1]).decode()


@pytest.mark.parametrize(
    ("quoting", "line"),
    [
        ("minimal", b'a,1,,true,"x,y"'),
        ("all", b'"a","1",,"true","x,y"'),
        ("nonnumeric", b'"a",1,,"true","x,y"'),
    ],
)
def test_quoting_is_chosen(quoting, line):
    """
    Quoting goes from what must be to everything but None.
    """
    write = CsvSerializer(list("abcde"), quoting=quoting)

    assert line == write(["a", 1, None, True, "x,y"])


def test_a_lone_empty_field_is_quoted():
    """
    A row is never a line of no characters, unless it is None that is written so.
    """
    assert CsvSerializer(["a"], null="NULL")([""]) == b'""'
    assert CsvSerializer(["a", "b"], null="NULL")(["", ""]) == b","
    assert CsvSerializer(["a"])([None]) == b""


def test_numbers_that_hold_the_delimiter_are_quoted():
    """
    The delimiter is looked for in numbers too.
    """
    assert CsvSerializer(["a", "b"], delimiter=".")([1.5, "x"]) == b'"1.5".x'


def test_quoting_none_refuses_what_needs_quotes():
    """
    Without quotes, a field that would need them is refused; quotes are read as they are.
    """
    columns, shape = ["a", "b"], {"delimiter": "\t", "quoting": "none", "quotechar": '"'}
    write, read = CsvSerializer(columns, **shape), CsvDeserializer(columns, **shape)

    assert {"a": "x y", "b": None} == read(write(["x y", None]))
    assert {"a": '"x"', "b": "y"} == read(b'"x"\ty')
    for bad in ("a\tb", "a\nb", ""):
        with pytest.raises(SerializeError, match=r"column 'b' holds .* needs quotes"):
            write(["x", bad])


def test_dialects_are_those_of_the_csv_module():
    """
    A registered name or a dialect class gives delimiter and quotes; arguments go before it.
    """

    class Semicolons(csv.excel):
        delimiter = ";"
        quotechar = "'"

    row = {"a": "x;y", "b": "1,2"}
    assert CsvSerializer(["a", "b"], dialect=Semicolons)(row) == b"'x;y';1,2"
    assert CsvSerializer(["a", "b"], dialect="excel-tab")(row) == b"x;y\t1,2"
    assert CsvSerializer(["a", "b"], dialect="unix")(row) == b'"x;y","1,2"'
    assert CsvSerializer(["a", "b"], dialect="unix", quoting="minimal")(row) == b'x;y,"1,2"'


def test_format_tells_what_a_reader_must_know():
    """
    Columns and their order are the format, and whatever else makes the bytes read differently.
    """
    assert CsvSerializer(["id", "name"]).format == "csv:id,name"
    assert CsvSerializer(["name", "id"]).format == "csv:name,id"
    assert CsvSerializer(["id"], quoting="all").format == "csv:id"
    assert CsvSerializer(["id"], delimiter="\t", null="NULL").format == (
        "csv:id (delimiter='\\t', null='NULL')"
    )
    assert CsvSerializer(["a,b"]).format != CsvSerializer(["a", "b"]).format
    assert CsvDeserializer(["id"], encoding="latin-1").format == "csv:id (encoding='latin-1')"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": 1}, "^the row lacks column 'name'$"),
        ({}, "^the row lacks columns 'id', 'name'$"),
        ({"id": 1, "name": 2, "x": 3}, "^the row has column 'x', not among the columns id, name$"),
        ([1], "^the row has 1 fields, the columns are 2: id, name$"),
        ([1, 2, 3], "^the row has 3 fields"),
        (Pair("x", 7)._asdict() | {"y": 1}, "column 'y'"),
        ("ab", "^a row is a mapping, a list, a tuple or a dataclass, not str$"),
        (None, "not NoneType"),
        ({"id": 1, "name": [1]}, "^column 'name' holds a list, .* pass default="),
        ({"id": b"x", "name": 1}, "^column 'id' holds a bytes"),
        ({"id": "\ud800", "name": 1}, r"^column 'id' has U\+D800, which utf-8 cannot encode"),
    ],
)
def test_errors_name_the_column(row, message):
    """
    A row that does not fit is refused with the columns concerned.
    """
    with pytest.raises(SerializeError, match=message):
        CsvSerializer(["id", "name"])(row)


def test_none_can_be_refused():
    """
    With null=None there is no text for None, and nothing is read as None.
    """
    with pytest.raises(SerializeError, match="column 'b' is None; null="):
        CsvSerializer(["a", "b"], null=None)([1, None])
    assert CsvSerializer(["a", "b"], null=None)(["", "x"]) == b",x"
    assert {"a": "", "b": "x"} == CsvDeserializer(["a", "b"], null=None)(b",x")


def test_default_makes_text():
    """
    default= is asked for other types and must answer with a str, which is quoted as any.
    """
    assert CsvSerializer(["a"], default=lambda v: ",".join(v))([["x", "y"]]) == b'"x,y"'
    with pytest.raises(SerializeError, match="column 'a': default= returned a list, not a str"):
        CsvSerializer(["a"], default=list)([{1}])


def test_types_convert_columns():
    """
    The reader makes values of the text of chosen columns, None aside, and names a bad one.
    """
    read = CsvDeserializer(["id", "price"], types={"id": int, "price": decimal.Decimal})

    assert {"id": 7, "price": decimal.Decimal("1.10")} == read(b"7,1.10")
    assert {"id": 7, "price": None} == read(b"7,")
    with pytest.raises(DeserializeError, match="column 'id' holds 'x': invalid literal"):
        read(b"x,1")
    with pytest.raises(ValueError, match="types has column 'ID'"):
        CsvDeserializer(["id"], types={"ID": int})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a", "the row has 1 fields, the columns are 2: id, name"),
        (b"a,b,c", "the row has 3 fields"),
        (b"a,b\n", "a line break at character 3"),
        (b"a,b\r\nc,d", "a line break at character 3"),
        (b'"a",b\n', "a line break at character 5"),
        (b'a,"b', "the quote at character 2 is never closed"),
        (b'"a"b,c', "a quoted field goes on at character 3"),
        (b'a"b",c', "a quote within the unquoted field at character 0"),
        (b"a,\xff", "byte 2 of 3 is not utf-8"),
    ],
)
def test_what_is_no_row_is_refused(data, message):
    """
    Line terminators, open quotes and wrong counts are refused with their place.
    """
    with pytest.raises(DeserializeError, match=message):
        CsvDeserializer(["id", "name"])(data)


@given(data=st.binary(max_size=20) | NASTY.map(str.encode))
def test_reader_never_fails_otherwise(data):
    """
    Any bytes are a row or a DeserializeError.
    """
    with contextlib.suppress(DeserializeError):
        CsvDeserializer(["a", "b"])(data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"columns": "id,name"}, "must be a list of names"),
        ({"columns": []}, "one or more"),
        ({"columns": ["a", ""]}, "non-empty"),
        ({"columns": ["a", 1]}, "names"),
        ({"columns": ["a", "b", "a"]}, "column 'a' more than once"),
        ({"delimiter": "||"}, "delimiter='\\|\\|' must be one character"),
        ({"delimiter": "\n"}, "no line break"),
        ({"delimiter": '"'}, "delimiter and quotechar are both"),
        ({"quoting": "some"}, "quoting='some' must be one of"),
        ({"null": "a,b"}, "null='a,b' must be text that needs no quotes"),
        ({"null": 0}, "null=0"),
    ],
)
def test_arguments_are_checked(arguments, message):
    """
    A shape that could not be read back is refused at construction.
    """
    for kind in (CsvSerializer, CsvDeserializer):
        with pytest.raises(ValueError, match=message):
            kind(**{"columns": ["a"], **arguments})


def test_dialects_with_escapes_are_refused():
    """
    A dialect that escapes instead of doubling is not supported, and says so.
    """

    class Escaped(csv.excel):
        doublequote = False
        escapechar = "\\"

    with pytest.raises(ValueError, match="escape character"):
        CsvSerializer(["a"], dialect=Escaped)


@pytest.mark.parametrize("kind", [CsvSerializer, CsvDeserializer])
def test_unknown_names_are_refused(kind):
    """
    A dialect or an encoding that does not exist is named, with the dialects that do.
    """
    with pytest.raises(ValueError, match=r"^dialect='zz' is unknown; known are .*'excel'.*'unix'"):
        kind(["a"], dialect="zz")
    with pytest.raises(ValueError, match=r"^encoding='nope' must be a text encoding: unknown"):
        kind(["a"], encoding="nope")
