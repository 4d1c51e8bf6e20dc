# The C++ of dial plans, as Cython sees it.
from libc.stdint cimport int32_t
from libcpp cimport bool as cbool
from libcpp.memory cimport shared_ptr
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector


cdef extern from "number_index.hpp" namespace "quickcall::numbers" nogil:
    cdef cppclass NumberIndex:
        cbool add(string_view number, int32_t value) except +
        size_t size()


cdef extern from "numbering.hpp" namespace "quickcall::numbers" nogil:
    cdef cppclass Groups:
        pass

    cdef cppclass CppNumbering "quickcall::numbers::Numbering":
        cbool add_converter(string_view regex, string_view prefix, string_view suffix) except +
        cbool add_classifier(string_view regex) except +
        void prepare() except +
        int32_t convert(string& number, Groups& groups) except +
        int32_t classify(string_view number, Groups& groups) except +

    cbool press_keys(string& number)


cdef extern from "carriers.hpp" namespace "quickcall::numbers" nogil:
    cdef cppclass CppCarriers "quickcall::numbers::Carriers":
        void add_carrier(string_view prefix, string_view suffix, int32_t cost) except +
        cbool add_rule(string_view regex) except +
        void prepare() except +


cdef extern from "route_table.hpp" namespace "quickcall::numbers" nogil:
    cdef cppclass CppTable "const quickcall::numbers::RouteTable":
        pass


cdef extern from "resolution.hpp" namespace "quickcall::numbers" nogil:
    cdef cppclass CppHop "quickcall::numbers::Hop":
        int32_t source
        int32_t rule
        string number
        int32_t priority
        int32_t weight

    cdef enum class Stage:
        nobody
        extension
        extension_row
        pattern_row
        prefix_row
        regex_row
        carriers

    cdef enum class Verdict:
        allowed
        blocked
        restricted

    cdef cppclass Judgement:
        Verdict verdict
        int32_t by

    cdef cppclass Dropped:
        CppHop hop
        Judgement judgement

    cdef cppclass Resolution:
        Stage stage
        int32_t index
        string number
        string spelled
        int32_t rewrite
        cbool has_e164
        string e164
        int32_t converter
        int32_t classifier
        cbool asked_e164
        string dialled
        vector[CppHop] hops
        vector[Dropped] dropped
        Judgement judgement
        string refused


cdef extern from "plan.hpp" namespace "quickcall::numbers" nogil:
    cdef cppclass PlanParts:
        shared_ptr[NumberIndex] extensions
        shared_ptr[CppTable] table
        shared_ptr[CppCarriers] carriers
        shared_ptr[CppNumbering] numbering
        shared_ptr[NumberIndex] blocked

    cdef cppclass Plan:
        Plan(PlanParts parts) except +
        cbool add_rewrite(string_view regex, string_view prefix, string_view suffix) except +
        void deny(int32_t classifier) except +
        void prepare() except +
        void resolve(string_view number, Resolution& found) except +
        Judgement judge(const string& number) except +
        cbool would_rewrite(int32_t rule, string_view number) except +
        vector[CppHop] offers(const Resolution& found) except +
        void classify(Resolution& found) except +
