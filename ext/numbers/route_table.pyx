# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, auto_pickle=False
"""A route table in C++, behind classes that hold nothing but a share of it."""
cimport cython
from cpython cimport array
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libcpp cimport bool as cbool
from libcpp.memory cimport shared_ptr
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.utility cimport move
from libcpp.vector cimport vector

from number_text cimport check_number, utf8

from array import array as make_array
from re import ASCII, compile as compile_re

from engine.numbers.pattern import find_fault
from engine.numbers.route_rows import RouteHop, RouteRow, RouteTableError
from engine.numbers.text import HALF_PAIR as _HALF_PAIR


cdef extern from "route_table_builder.hpp" namespace "quickcall::numbers" nogil:
    cdef enum class RowKind(uint8_t):
        extension
        pattern
        prefix
        regex

    cdef cppclass Target:
        string to
        string id

    cdef cppclass Row:
        uint32_t line
        uint16_t priority
        uint16_t weight
        uint8_t strip
        RowKind kind

    cdef cppclass CppTable "const quickcall::numbers::RouteTable":
        int32_t match(string_view number) except +
        void match_many(const string_view* numbers, size_t count, int32_t* rows) except +
        const Row& row(int32_t index)
        const Target& target(const Row& row)
        const string& prepend(const Row& row)
        const string& description(const Row& row)
        void hunt(string_view number, int32_t best, vector[int32_t]& rows) except +
        void all(string_view number, vector[int32_t]& rows) except +
        string dialled(int32_t index, string_view number) except +
        string text(int32_t index) except +
        size_t size()
        const vector[Target]& targets()
        size_t index_bytes()
        size_t total_bytes()

    cdef cppclass RowRefusal:
        string field
        string reason
        int64_t position
        uint32_t line
        string value

    cdef cppclass CppBuilder "quickcall::numbers::RouteTableBuilder":
        RowRefusal add(uint32_t line, RowKind kind, string_view match, string_view to,
                       string_view id, uint16_t priority, uint16_t weight, uint8_t strip,
                       string_view prepend, string_view description) except +
        shared_ptr[CppTable] build(RowRefusal& refusal) except +


cdef extern from *:
    """
    static constexpr const char* capsule_name = "quickcall.numbers.RouteTable";
    """
    const char* capsule_name

cdef tuple _KINDS = ("extension", "pattern", "prefix", "regex")
cdef dict _KIND_NUMBERS = {kind: number for number, kind in enumerate(_KINDS)}
cdef tuple _TARGETS = ("device", "user", "resource")
cdef object _find_control = compile_re("[\x00-\x1f\x7f]").search
cdef object _is_id = compile_re("[A-Za-z0-9_-]{1,64}", ASCII).fullmatch


cdef void _free_share(object capsule) noexcept:
    cdef shared_ptr[CppTable]* share
    share = <shared_ptr[CppTable]*> PyCapsule_GetPointer(capsule, capsule_name)
    del share


cdef str _text(const string& text):
    return text.data()[:text.size()].decode("utf-8")


@cython.final
cdef class RouteTable:
    """Rows compiled for matching; made by `compile` or a RouteTableBuilder."""

    cdef shared_ptr[CppTable] table

    def __init__(self) -> None:
        raise TypeError("made by RouteTable.compile")

    @staticmethod
    def compile(rows):
        """Compile rows, whose lines count from 1. Raises RouteTableError for the first bad one."""
        builder = RouteTableBuilder()
        for line, row in enumerate(rows, start=1):
            builder.add(line, row.kind, row.match, row.to, row.id, row.priority, row.weight,
                        row.strip, row.prepend, row.description)
        return builder.build()

    def __len__(self) -> int:
        return self.table.get().size()

    def match(self, number: str) -> RouteMatch | None:
        """Return the best row for a number of at most 128 characters, None when no row takes it.

        Asked in this order: extensions, patterns, prefixes, regexes. Raises NumberError.
        """
        check_number(number)
        cdef int32_t index = self.table.get().match(utf8(number))
        if index < 0:
            return None
        cdef RouteMatch found = RouteMatch.__new__(RouteMatch)
        found.table = self
        found.text = number
        found.index = index
        return found

    def match_many(self, numbers: list) -> array.array:
        """Return the index of the best row for each of many numbers, -1 where no row takes it.

        Raises NumberError for the first number that is too long or not Unicode text.
        """
        cdef Py_ssize_t count = len(numbers)
        cdef array.array found = array.clone(_INDICES, count, zero=False)
        cdef vector[string_view] views
        cdef str number
        views.reserve(count)
        for number in numbers:
            check_number(number)
            views.push_back(utf8(number))
        self.table.get().match_many(views.data(), views.size(), <int32_t*> found.data.as_voidptr)
        return found

    def row(self, index: int) -> RouteRow:
        """Return a row; its pattern or prefix in the plainest form. Raises IndexError."""
        cdef CppTable* table = self.table.get()
        cdef const Row* row = self._row(index)
        return RouteRow(
            kind=_KINDS[<int> row.kind],
            match=_text(table.text(index)),
            to=_text(table.target(row[0]).to),
            id=_text(table.target(row[0]).id),
            priority=row.priority,
            weight=row.weight,
            strip=row.strip,
            prepend=_text(table.prepend(row[0])),
            description=_text(table.description(row[0])),
        )

    def line(self, index: int) -> int:
        """Return the line a row came from. Raises IndexError."""
        return self._row(index).line

    def explain(self, number: str) -> list:
        """Return every row that takes a number as (kind, index, won, why), best first.

        One row stands for its group; the first wins. Raises NumberError.
        """
        check_number(number)
        cdef vector[int32_t] rows
        self.table.get().all(utf8(number), rows)
        explained = []
        cdef int32_t index
        for index in rows:
            kind = _KINDS[<int> self.table.get().row(index).kind]
            if not explained:
                why = _WON[kind]
            elif kind == explained[0][0]:
                why = _LOST[kind]
            else:
                why = f"a row of kind {explained[0][0]} comes first"
            explained.append((kind, index, not explained, why))
        return explained

    def targets(self) -> list:
        """Return what rows lead to as (to, id, line of the first such row)."""
        cdef CppTable* table = self.table.get()
        cdef dict first = {}
        cdef const Row* row
        cdef vector[uint32_t] lines
        cdef size_t at
        lines.resize(table.targets().size(), 0)
        for at in range(table.size()):
            row = &table.row(<int32_t> at)
            target = &table.target(row[0]) - table.targets().data()
            if lines[target] == 0 or row.line < lines[target]:
                lines[target] = row.line
        return [
            (_text(table.targets()[at].to), _text(table.targets()[at].id), lines[at])
            for at in range(lines.size())
        ]

    @property
    def index_bytes(self) -> int:
        """Bytes of what finds a row, without the rows themselves."""
        return self.table.get().index_bytes()

    @property
    def total_bytes(self) -> int:
        """Bytes of the table, its rows and texts included."""
        return self.table.get().total_bytes()

    def capsule(self) -> object:
        """Return a share of the C++ table, for the compiled dial plan."""
        cdef shared_ptr[CppTable]* share = new shared_ptr[CppTable](self.table)
        return PyCapsule_New(share, capsule_name, _free_share)

    cdef const Row* _row(self, int64_t index) except NULL:
        if not 0 <= index < <int64_t> self.table.get().size():
            raise IndexError(f"row {index} of {self.table.get().size()}")
        return &self.table.get().row(<int32_t> index)


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class RouteMatch:
    """The best row for one number; what it says is looked up when it is asked."""

    cdef RouteTable table
    cdef str text
    cdef int32_t index

    def __init__(self) -> None:
        raise TypeError("made by RouteTable.match")

    @property
    def index(self) -> int:
        """Index of the row in its table."""
        return self.index

    @property
    def kind(self) -> str:
        """Kind of the row."""
        return _KINDS[<int> self.table.table.get().row(self.index).kind]

    @property
    def row(self) -> RouteRow:
        """The row."""
        return self.table.row(self.index)

    @property
    def line(self) -> int:
        """The line the row came from."""
        return self.table.line(self.index)

    @property
    def number(self) -> str:
        """What is dialled."""
        return _text(self.table.table.get().dialled(self.index, utf8(self.text)))

    @property
    def hunt(self) -> tuple:
        """The rows to try, best first: longest match, then priority, then the greater weight."""
        cdef CppTable* table = self.table.table.get()
        cdef vector[int32_t] rows
        table.hunt(utf8(self.text), self.index, rows)
        hops = []
        cdef int32_t index
        cdef const Row* row
        for index in rows:
            row = &table.row(index)
            length = len(_text(table.text(index))) if row.kind == RowKind.prefix else len(self.text)
            hops.append(RouteHop(
                row=index,
                to=_text(table.target(row[0]).to),
                id=_text(table.target(row[0]).id),
                number=_text(table.dialled(index, utf8(self.text))),
                priority=row.priority,
                weight=row.weight,
                length=length,
            ))
        return tuple(hops)

    def __repr__(self) -> str:
        return f"RouteMatch({self.text!r}, line={self.line}, number={self.number!r})"


cdef class RouteTableBuilder:
    """Takes rows one by one and compiles them all; builds once."""

    cdef CppBuilder* builder

    def __cinit__(self):
        self.builder = new CppBuilder()

    def __dealloc__(self):
        del self.builder

    def add(self, line: int, kind: str, match: str, to: str, id: str, priority: int = 0,
            weight: int = 1, strip: int = 0, prepend: str = "", description: str = "") -> None:
        """Add a row that came from a line (1 to 4294967295); bounds are those of RouteRow.

        Raises RouteTableError naming the field.
        """
        self._check_open()
        number = _KIND_NUMBERS.get(kind)
        if number is None:
            raise RouteTableError(line, "kind", kind, None, f"allowed: {', '.join(_KINDS)}")
        if to not in _TARGETS:
            raise RouteTableError(line, "to", to, None, f"allowed: {', '.join(_TARGETS)}")
        if _is_id(id) is None:
            raise RouteTableError(line, "id", id, None, "allowed: 1 to 64 of A-Z a-z 0-9 _ -")
        _check_bounds(line, "priority", priority, 0, 65535)
        _check_bounds(line, "weight", weight, 1, 65535)
        _check_bounds(line, "strip", strip, 0, 128)
        _check_match(line, kind, match)
        _check_text(line, "prepend", prepend, 64)
        _check_text(line, "description", description, 256)
        cdef RowRefusal refusal = self.builder.add(
            line, <RowKind> <uint8_t> number, utf8(match), utf8(to), utf8(id), priority, weight,
            strip, utf8(prepend), utf8(description))
        if not refusal.field.empty():
            _refuse(refusal)

    def build(self) -> RouteTable:
        """Compile the rows; other threads run meanwhile. Raises RouteTableError."""
        self._check_open()
        cdef CppBuilder* builder = self.builder
        self.builder = NULL
        cdef RouteTable made = RouteTable.__new__(RouteTable)
        cdef RowRefusal refusal
        with nogil:
            try:
                made.table = builder.build(refusal)
            finally:
                del builder  # a million entries take milliseconds to free
        if not made.table:
            _refuse(refusal)
        return made

    cdef int _check_open(self) except -1:
        if self.builder == NULL:
            raise RuntimeError("this builder has built its table; make a new one")
        return 0


cdef array.array _INDICES = make_array("i")

cdef dict _WON = {
    "extension": "it is the whole number",
    "pattern": "the most specific pattern",
    "prefix": "the longest prefix",
    "regex": "the first regex that matches",
}

cdef dict _LOST = {
    "pattern": "less specific",
    "prefix": "shorter",
    "regex": "a regex before it matches",
}


cdef int _refuse(const RowRefusal& refusal) except -1:
    position = None
    if refusal.position >= 0:
        position = len(refusal.value.data()[:refusal.position].decode("utf-8", "replace"))
    raise RouteTableError(refusal.line, _text(refusal.field), _text(refusal.value), position,
                          _text(refusal.reason))


cdef int _check_bounds(line, str field, value, low, high) except -1:
    if not low <= value <= high:
        raise RouteTableError(line, field, str(value), None, f"allowed: {low} to {high}")
    return 0


cdef int _check_text(line, str field, str text, Py_ssize_t limit) except -1:
    if not text:
        return 0
    if len(text) > limit:
        reason = f"is {len(text)} characters long, at most {limit} are allowed"
        raise RouteTableError(line, field, text, limit, reason)
    control = _find_control(text)
    if control is not None:
        raise RouteTableError(line, field, text, control.start(), "holds a control character")
    try:
        utf8(text)
    except UnicodeEncodeError as error:
        raise RouteTableError(line, field, text, error.start, _HALF_PAIR) from None
    return 0


cdef int _check_match(line, str kind, str text) except -1:
    if kind == "regex":
        fault = find_fault(text) if text else None
        if fault is not None:
            raise RouteTableError(line, "match", text, fault.position, fault.reason)
        _check_text(line, "match", text, 1024)
    else:
        _check_text(line, "match", text, 128)
    if not text or (kind == "prefix" and text == "+"):
        raise RouteTableError(line, "match", text, None, "a row must say what it matches")
    if kind == "prefix" and text.startswith("++"):
        raise RouteTableError(line, "match", text, 1, "one + at most may stand in front")
    return 0
