"""What every stage needs beside its own logic.

`Transform` (rows in, rows out) and `LineParser` (lines of a file in, rows out)
are the classes to build on; `Column` is what comes in and goes out. The contract
below them is `wit/stage.wit`.

`None` stands for null. Text columns hold each distinct value once and a key per
row: `Column.map` calls its function once per distinct value, which is where the
speed of a stage in Python comes from.
"""

import json
import traceback
from datetime import datetime, timezone
from functools import wraps
from itertools import accumulate, pairwise

from componentize_py_types import Err
from wit_world.imports import log, types

# A component has one of the two worlds.
try:
    from wit_world.exports import transform as world
except ImportError:
    from wit_world.exports import parser as world

TYPES = {kind.name.lower(): kind for kind in types.ColumnType}
TEXT = ("utf8", "dictionary", "json")
EMPTY = {"boolean": False, "int64": 0, "float64": 0.0, "timestamp": 0}
READS = {
    "boolean": bool,
    "int64": int,
    "float64": float,
    "timestamp": int,
    "utf8": str,
    "dictionary": str,
    "json": str,
}


class Column:
    """The values of a column: one per row, or, with `keys`, each distinct one once."""

    def __init__(self, kind, values, keys=None, valid=None):
        self.kind = kind
        self.values = values
        self.keys = keys
        self.valid = valid

    @classmethod
    def of(cls, kind, values):
        """A column of values, one per row, `None` where there is none."""
        values = list(values)
        valid = None
        if None in values:
            valid = [value is not None for value in values]
            empty = EMPTY.get(kind, "")
            values = [empty if value is None else value for value in values]
        if kind in TEXT and kind != "utf8":
            index = {}
            keys = [index.setdefault(value, len(index)) for value in values]
            return cls(kind, list(index), keys, valid)
        return cls(kind, list(map(READS[kind], values)), None, valid)

    def __len__(self):
        return len(self.values if self.keys is None else self.keys)

    def __iter__(self):
        """The values, row by row, `None` where there is none."""
        rows = self.values if self.keys is None else map(self.values.__getitem__, self.keys)
        if self.valid is None:
            return iter(rows)
        return (value if valid else None for value, valid in zip(rows, self.valid))

    def or_else(self, default):
        """The values, row by row, with a default for those that are missing."""
        if self.valid is None and self.keys is None:
            return self.values
        return [default if value is None else value for value in self]

    def map(self, function, to=None):
        """A column of what the function makes of each value. What is null stays null."""
        kind = to or self.kind
        if self.keys is None or kind not in TEXT or kind == "utf8":
            if self.keys is not None:
                made = [function(value) for value in self.values]
                rows = map(made.__getitem__, self.keys)
            else:
                rows = map(function, self.values)
            if self.valid is not None:
                rows = (value if valid else None for value, valid in zip(rows, self.valid))
            return Column.of(kind, rows)
        made = Column.of(kind, map(function, self.values))
        keys = [made.keys[key] for key in self.keys]
        valid = self.valid
        if made.valid is not None:
            valid = valid or [True] * len(keys)
            valid = [was and made.valid[key] for was, key in zip(valid, self.keys)]
        return Column(kind, made.values, keys, valid)

    def take(self, rows):
        """The column of these rows."""
        valid = None if self.valid is None else [self.valid[row] for row in rows]
        if self.keys is None:
            return Column(self.kind, [self.values[row] for row in rows], None, valid)
        return Column(self.kind, self.values, [self.keys[row] for row in rows], valid)


class Config:
    """The stage's `config` in the pipeline file. A key that nobody asks for is refused."""

    def __init__(self, text):
        self._values = json.loads(text)
        self._known = []

    def number(self, key, default=None, least=None, most=None):
        """A number, within bounds."""
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise config_failure(key, "must be a number")
        if least is not None and value < least or most is not None and value > most:
            if most is None:
                raise config_failure(key, f"must be at least {least:g}")
            if least is None:
                raise config_failure(key, f"must be at most {most:g}")
            raise config_failure(key, f"must be between {least:g} and {most:g}")
        return value

    def text(self, key, default=None, among=None):
        """A text, one of `among` if these are given."""
        value = self._value(key, default)
        if not isinstance(value, str):
            raise config_failure(key, "must be a text")
        if among is not None and value not in among:
            raise config_failure(key, "must be one of " + named(among))
        return value

    def flag(self, key, default=None):
        """True or false."""
        value = self._value(key, default)
        if not isinstance(value, bool):
            raise config_failure(key, "must be true or false")
        return value

    def table(self, key, default=None):
        """A table, as a `dict`."""
        value = self._value(key, default)
        if not isinstance(value, dict):
            raise config_failure(key, "must be a table")
        return value

    def _value(self, key, default):
        self._known.append(key)
        value = self._values.get(key, default)
        if value is None:
            raise config_failure(key, "is missing")
        return value

    def _refuse_unknown(self):
        for key in self._values:
            if key not in self._known:
                there = named(self._known) if self._known else "nothing"
                raise config_failure(key, f"is not known; there is {there}")


def named(words):
    return ", ".join(f"`{word}`" for word in words)


def config_failure(key, reason):
    """A key of the configuration is wrong: `raise config_failure("factor", "is odd")`."""
    return Err(types.Failure_Config(types.ConfigFault(key, reason)))


def schema_failure(column, reason):
    """A column that reaches the stage is of no use to it."""
    return Err(types.Failure_Schema(types.ColumnFault(column, reason)))


def input_failure(reason, line=None, column=None):
    """The file, or this batch as a whole, cannot be used. For one row: `self.reject`."""
    return Err(types.Failure_Input(types.InputFault(line, column, reason)))


def debug(message):
    log.write(log.Level.DEBUG, message)


def info(message):
    log.write(log.Level.INFO, message)


def warn(message):
    log.write(log.Level.WARN, message)


def _place(error):
    """Where the stage's own code was when an exception came: this file and the library of
    Python are nobody's own."""
    frames = traceback.extract_tb(error.__traceback__)
    others = ("/python/", "/bundled/", "gristmill.py", "componentize_py")
    own = [frame for frame in frames if not any(other in frame.filename for other in others)]
    frame = (own or frames)[-1]
    return f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}"


def reported(method):
    """Says where an exception was raised, since what the host sees of it is a trap."""

    @wraps(method)
    def call(*arguments):
        try:
            return method(*arguments)
        except Err:
            raise
        except Exception as error:
            said = f"{_place(error)}: {type(error).__name__}: {error}"
            log.write(log.Level.ERROR, said)
            raise

    return call


class _Stage:
    """What transforms and parsers have in common."""

    def configure(self, config):
        """Takes what the stage needs out of its `Config`."""

    def facts(self):
        """What the stage learned of a file: topic → words."""
        return {}

    @classmethod
    def _opened(cls, options):
        self = cls()
        self.sets = {bound.name: bound.words for bound in options.sets}
        self._rejects = []
        return self

    def _configured(self, options):
        config = Config(options.config)
        self.configure(config)
        config._refuse_unknown()
        return self

    @reported
    def finish(self):
        return [types.Fact(topic, sorted(words)) for topic, words in self.facts().items()]


class Transform(_Stage):
    """A stage that changes rows.

    `reads` and `writes` are column names with their types: `boolean`, `int64`,
    `float64`, `timestamp` (microseconds since 1970), `utf8`, `dictionary`, `json`.
    They may be set in `configure`, where `self.schema` holds what reaches the
    stage. `leaves_out` is for stages that drop rows.
    """

    reads = {}
    writes = {}
    drops = ()
    leaves_out = False

    def transform(self, *columns):
        """Takes the columns read and returns those written: a `Column` or values,
        one per row; a tuple of them unless it is one."""
        raise NotImplementedError

    def reject(self, row, code, message, column=None):
        """The row goes to quarantine. `code` is a kebab-case word."""
        self._rejects.append(types.Reject(row, column, code, message))

    def leave_out(self, row):
        """The row ends here."""
        self._left_out.add(row)

    @classmethod
    @reported
    def open(cls, options):
        self = cls._opened(options)
        self.schema = {field.name: field.column_type.name.lower() for field in options.schema}
        self._configured(options)
        for name, kind in self.reads.items():
            found = self.schema.get(name)
            if found is None:
                raise schema_failure(name, "is missing")
            if found != kind and not (found in TEXT and kind in TEXT and kind != "json"):
                raise schema_failure(name, f"has type {found}, but {kind} is needed")
        return self

    def contract(self):
        return world.Contract(
            _fields(self.reads),
            _fields(self.writes),
            list(self.drops),
            world.RowEffect.REARRANGES if self.leaves_out else world.RowEffect.KEEPS,
        )

    @reported
    def process(self, batch):
        self._rejects, self._left_out = [], set()
        read = map(_decoded, self.reads.values(), batch.columns)
        written = self.transform(*read)
        if not isinstance(written, tuple):
            written = (written,)
        columns = [
            made if isinstance(made, Column) else Column.of(kind, made)
            for kind, made in zip(self.writes.values(), written, strict=True)
        ]
        rows, source = batch.rows, None
        if self.leaves_out:
            gone = self._left_out.union(reject.row for reject in self._rejects)
            source = [row for row in range(rows) if row not in gone]
            columns = [column.take(source) for column in columns]
            rows = len(source)
        encoded = list(map(_encoded, columns))
        return world.Output(rows, encoded, source, len(self._left_out), self._rejects)


class LineParser(_Stage):
    """A stage that reads files in which a line is a record."""

    def record(self, line):
        """A `dict` of the line's values by column, or `None` to leave the line out."""
        raise NotImplementedError

    def reject(self, code, message, column=None):
        """The line that `record` has goes to quarantine. `code` is a kebab-case word."""
        number, start, length = self._place
        if self._rejects and self._rejects[-1].start == start:
            return  # The first reason counts.
        self._rejects.append(world.RejectedRecord(number, start, length, column, code, message))

    @classmethod
    @reported
    def open(cls, options):
        self = cls._opened(options)
        self._columns = options.columns
        self._wanted = {column.name for column in options.columns}
        self._ignored = set()
        self._carry, self._number, self._start = b"", 0, 0
        self._left_out = 0
        return self._configured(options)

    @reported
    def parse(self, chunk, last):
        self._rejects = []
        cells = [[] for _ in self._columns]
        places = []
        for line in self._lines(chunk, last):
            record = self._record(line)
            if record is None:
                continue
            try:
                row = [_cell(column, record) for column in self._columns]
            except _Misfit as misfit:
                self.reject(*misfit.args)
                continue
            for column, cell in zip(cells, row):
                column.append(cell)
            places.append(self._place)
            self._ignored.update(record.keys() - self._wanted)
        columns = [
            _encoded(Column.of(column.column_type.name.lower(), values))
            for column, values in zip(self._columns, cells)
        ]
        numbers, starts, lengths = map(list, zip(*places)) if places else ([], [], [])
        return world.Parsed(len(places), columns, numbers, starts, lengths, self._rejects)

    def facts(self):
        return {"ignored-columns": self._ignored}

    def finish(self):
        facts = super().finish()
        if self._left_out:
            facts.append(types.Fact("left-out-bytes", [str(self._left_out)]))
        return facts

    def _lines(self, chunk, last):
        """The lines that the chunk completes; `_place` says where each is."""
        *lines, self._carry = (self._carry + chunk).split(b"\n")
        if last:
            lines.append(self._carry)
        for line in lines:
            self._number += 1
            self._place = self._number, self._start, len(line)
            self._start += len(line) + 1
            if line.strip():
                yield line.removesuffix(b"\r")

    def _record(self, line):
        try:
            text = line.decode()
        except UnicodeDecodeError:
            return self.reject("not-utf8", "expected text in UTF-8")
        rejects = len(self._rejects)
        record = self.record(text)
        if len(self._rejects) > rejects:
            return None
        if record is not None and not isinstance(record, dict):
            return self.reject("not-a-record", "expected values by column")
        if record is None:
            # As the host counts: without white space.
            self._left_out += len(b"".join(line.split()))
        return record


class _Misfit(Exception):
    """A cell that does not fit: code, message, column."""


def _cell(column, record):
    """The value of a column in a record, as the column's type wants it."""
    kind = column.column_type.name.lower()
    if column.name not in record:
        if column.required:
            raise _Misfit("missing", "is missing in this record", column.name)
        return None
    value = record[column.name]
    if value is None or value == "":
        if column.empty_is_null:
            return None
        if kind in ("timestamp", "boolean"):
            raise _Misfit("empty", f"expected a {kind}, found nothing", column.name)
        return EMPTY.get(kind, "")
    try:
        if kind == "timestamp":
            return _microseconds(value)
        if kind in TEXT:
            return value if isinstance(value, str) else json.dumps(value)
        if kind == "boolean":
            return {True: True, False: False, "true": True, "false": False}[value]
        number = READS[kind](value)
        if kind == "float64" and number - number != 0:
            raise ValueError
        return number
    except (ValueError, TypeError, KeyError, OverflowError):
        what = {"timestamp": "a time", "int64": "a whole number", "float64": "a number"}
        code = {"timestamp": "not-a-timestamp", "int64": "not-a-whole-number", "float64": "not-a-number"}
        message = f"expected {what.get(kind, 'true or false')}, found `{str(value)[:40]}`"
        raise _Misfit(code.get(kind, "not-a-boolean"), message, column.name) from None


def _microseconds(text, known={}):
    """Times repeat from row to row, so the last one is remembered."""
    if text not in known:
        known.clear()
        instant = datetime.fromisoformat(text)
        if instant.utcoffset() is None:
            raise ValueError
        known[text] = round((instant - datetime.fromtimestamp(0, timezone.utc)).total_seconds() * 1_000_000)
    return known[text]


def _fields(columns):
    return [types.Field(name, TYPES[kind]) for name, kind in columns.items()]


def _decoded(kind, column):
    """A column as the contract has it → a `Column`."""
    values = column.values.value
    keys = None
    if kind == "boolean":
        values = _flags(values)
    elif kind == "utf8":
        values = _texts(values)
    elif kind in TEXT:
        keys = values.keys
        values = _texts(values.values)
    valid = None
    if column.validity is not None:
        rows = len(values if keys is None else keys)
        valid = _flags(column.validity)[:rows]
    return Column(kind, values, keys, valid)


def _encoded(column):
    """A `Column` → a column as the contract has it."""
    if column.kind == "boolean":
        values = types.Values_Boolean(_bitmap(column.values))
    elif column.kind == "utf8":
        values = types.Values_Utf8(_utf8(column.values))
    elif column.kind in TEXT:
        # A key names a value even where none is meant.
        values = types.Values_Dictionary(types.DictionaryValues(column.keys, _utf8(column.values)))
    elif column.kind == "float64":
        values = types.Values_Float64(column.values)
    elif column.kind == "timestamp":
        values = types.Values_Timestamp(column.values)
    else:
        values = types.Values_Int64(column.values)
    return types.Column(None if column.valid is None else _bitmap(column.valid), values)


def _flags(bitmap):
    return [bool(byte >> bit & 1) for byte in bitmap for bit in range(8)]


def _bitmap(flags):
    bits = bytearray((len(flags) + 7) // 8)
    for row, flag in enumerate(flags):
        if flag:
            bits[row >> 3] |= 1 << (row & 7)
    return bytes(bits)


def _texts(values):
    data = values.data
    return [data[start:end].decode() for start, end in pairwise(values.offsets)]


def _utf8(texts):
    encoded = [text.encode() for text in texts]
    return types.Utf8Values(list(accumulate(map(len, encoded), initial=0)), b"".join(encoded))
