# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, auto_pickle=False
"""A dial plan in C++: exact extensions in a hash map, regexes compiled once."""
from libc.stdint cimport int64_t
from libcpp cimport bool as cbool
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector

from number_text cimport check_number, utf8


cdef extern from "plan.hpp" namespace "quickcall::numbers" nogil:
    cdef cppclass Hop:
        int64_t carrier
        int64_t rule
        string number

    cdef cppclass Resolution:
        int64_t rewrite
        int64_t extension
        string number
        vector[Hop] hops

    cdef cppclass CppPlan "quickcall::numbers::Plan":
        cbool add_extension(string_view number) except +
        cbool add_rewrite(string_view regex, string_view prefix, string_view suffix) except +
        void add_carrier(string_view prefix, string_view suffix) except +
        cbool add_carrier_rule(string_view regex) except +
        Resolution resolve(string_view number) except +


cdef class Plan:
    """Rules in the order of adding; resolve() tells every decision for a number by index."""

    cdef CppPlan plan

    def add_extension(self, number: str) -> bool:
        """Add an extension; False when the number is there already."""
        check_number(number)
        return self.plan.add_extension(utf8(number))

    def add_rewrite(self, regex: str, prefix: str, suffix: str) -> bool:
        """Add a rewrite rule; False when RE2 refuses the regex."""
        return self.plan.add_rewrite(utf8(regex), utf8(prefix), utf8(suffix))

    def add_carrier(self, prefix: str, suffix: str) -> None:
        """Add a carrier that has no rules yet; it is hunted after those added before."""
        self.plan.add_carrier(utf8(prefix), utf8(suffix))

    def add_carrier_rule(self, regex: str) -> bool:
        """Add a rule to the carrier added last; False when RE2 refuses the regex."""
        return self.plan.add_carrier_rule(utf8(regex))

    def resolve(self, number: str) -> tuple[int, int, str, list[tuple[int, int, str]]]:
        """Return rewrite index or -1, extension index or -1, final number, and carrier hops.

        A hop is the index of a carrier, of the rule of it that matched, and the number to dial.
        """
        check_number(number)
        cdef Resolution found = self.plan.resolve(utf8(number))
        cdef list hops = []
        cdef size_t index
        for index in range(found.hops.size()):
            hops.append((
                found.hops[index].carrier,
                found.hops[index].rule,
                found.hops[index].number.decode("utf-8"),
            ))
        return found.rewrite, found.extension, found.number.decode("utf-8"), hops
