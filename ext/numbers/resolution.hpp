// What a dial plan decided for a number.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace quickcall::numbers {

// A place to try, and what to dial there.
struct Hop {
    std::int32_t source;  // a carrier, or a row of the route table
    std::int32_t rule;    // of the carrier; -1 for a row
    std::string number;
    std::int32_t priority;
    std::int32_t weight;
};

// Who decided, in the order of precedence.
enum class Stage : std::uint8_t {
    nobody,
    extension,       // a device or user of the account
    extension_row,   // of the route table, as are the next three
    pattern_row,
    prefix_row,
    regex_row,
    carriers,
};

enum class Verdict : std::uint8_t { allowed, blocked, restricted };

// Whether a carrier may be sent a number, and the blocklist or classifier that refuses it.
struct Judgement {
    Verdict verdict = Verdict::allowed;
    std::int32_t by = -1;
};

// A hop that may not be dialled.
struct Dropped {
    Hop hop;
    Judgement judgement;
};

// Every decision taken for a number. Indices are those of the order of adding; -1 is none.
struct Resolution {
    Stage stage = Stage::nobody;
    std::int32_t index = -1;  // the extension, or the best row of the route table
    std::string number;       // as given, then rewritten, then with digits for letters
    std::string spelled;      // with its letters, when `number` had some
    std::int32_t rewrite = -1;
    bool has_e164 = false;    // an extension is found without it
    std::string e164;
    std::int32_t converter = -1;
    std::int32_t classifier = -1;  // known once something leaves through a carrier
    bool class_of_e164 = false;    // it was the E.164 form that the classifier took
    bool asked_e164 = false;       // it was the E.164 form that the deciding row took
    std::string dialled;           // at a device or user
    std::vector<Hop> hops;         // in hunt order
    std::vector<Dropped> dropped;
    Judgement judgement;
    std::string refused;           // the number that is refused
};

}  // namespace quickcall::numbers
