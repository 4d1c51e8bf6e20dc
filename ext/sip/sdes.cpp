#include "sdes.hpp"

#include <pjlib-util.h>
#include <strings.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>

#include "headers.hpp"
#include "srtp.hpp"

namespace quickcall {
namespace {

constexpr std::size_t max_tag_digits = 9;
constexpr std::string_view base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string_view view(const pj_str_t &text) { return {text.ptr, static_cast<std::size_t>(text.slen)}; }

bool is_number(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Cuts off what stands before the separator, all of it when there is none.
std::string_view cut(std::string_view &text, char separator) {
    const auto end = text.find(separator);
    const auto part = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    return part;
}

std::string_view next_word(std::string_view &text) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    const auto word = text.substr(0, text.find_first_of(" \t"));
    text.remove_prefix(word.size());
    return word;
}

std::vector<std::uint8_t> decode(std::string_view text) {
    const auto end = text.find_first_not_of(base64_digits);
    if (end != std::string_view::npos && text.find_first_not_of('=', end) != std::string_view::npos) return {};
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(PJ_BASE64_TO_BASE256_LEN(text.size())) + 3);
    const pj_str_t input{const_cast<char *>(text.data()), static_cast<pj_ssize_t>(text.size())};
    int size = static_cast<int>(bytes.size());
    if (pj_base64_decode(&input, bytes.data(), &size) != PJ_SUCCESS) return {};
    bytes.resize(static_cast<std::size_t>(size));
    return bytes;
}

std::string encode(const std::vector<std::uint8_t> &bytes) {
    std::string text(static_cast<std::size_t>(PJ_BASE256_TO_BASE64_LEN(bytes.size())), '\0');
    int size = static_cast<int>(text.size());
    pj_base64_encode(bytes.data(), static_cast<int>(bytes.size()), text.data(), &size);
    text.resize(static_cast<std::size_t>(size));
    return text;
}

// `2^20` or `1048576`.
bool is_lifetime(std::string_view text) {
    if (text.starts_with("2^")) text.remove_prefix(2);
    return is_number(text);
}

// WSH is a hint for the replay window, of which ours is wide enough; what begins with a hyphen may be passed over.
bool may_pass_over(std::string_view parameter) { return parameter.starts_with("WSH=") || parameter.starts_with('-'); }

SrtpKey make_key(const std::string &suite) {
    SrtpKey made{suite, std::vector<std::uint8_t>(srtp_secret_size(suite))};
    if (::getentropy(made.secret.data(), made.secret.size()) != 0) {
        throw std::system_error(errno, std::generic_category(), "getentropy");
    }
    return made;
}

std::vector<std::string_view> crypto_of(const pjmedia_sdp_media *media) {
    std::vector<std::string_view> lines;
    for (unsigned i = 0; i < media->attr_count; ++i) {
        if (view(media->attr[i]->name) == "crypto") lines.push_back(view(media->attr[i]->value));
    }
    return lines;
}

void add(pj_pool_t *pool, pjmedia_sdp_media *media, unsigned tag, const SrtpKey &key) {
    if (media->attr_count >= PJMEDIA_MAX_SDP_ATTR) return;
    const auto text = std::to_string(tag) + " " + key.suite + " inline:" + encode(key.secret);
    const pj_str_t value{const_cast<char *>(text.data()), static_cast<pj_ssize_t>(text.size())};
    pjmedia_sdp_media_add_attr(media, pjmedia_sdp_attr_create(pool, "crypto", &value));
}

pj_uint32_t profile_of(const pjmedia_sdp_media *media) {
    return pjmedia_sdp_transport_get_proto(&media->desc.transport);
}

bool is_secure(const pjmedia_sdp_media *media) {
    return PJMEDIA_TP_PROTO_HAS_FLAG(profile_of(media), PJMEDIA_TP_PROFILE_SRTP);
}

// Keys by DTLS (RFC 5763), none of ours.
bool is_dtls(const pjmedia_sdp_media *media) {
    return PJMEDIA_TP_PROTO_HAS_FLAG(profile_of(media), PJMEDIA_TP_PROTO_DTLS);
}

}  // namespace

std::optional<KeyLine> parse_key_line(std::string_view value) {
    KeyLine line;
    const auto tag = next_word(value);
    if (!is_number(tag) || tag.size() > max_tag_digits) return std::nullopt;
    std::from_chars(tag.data(), tag.data() + tag.size(), line.tag);
    line.key.suite = next_word(value);
    const auto size = srtp_secret_size(line.key.suite);
    auto parameters = next_word(value);
    constexpr std::string_view method = "inline:";
    if (size == 0 || parameters.find(';') != std::string_view::npos || parameters.size() < method.size() ||
        ::strncasecmp(parameters.data(), method.data(), method.size()) != 0) {
        return std::nullopt;
    }
    parameters.remove_prefix(method.size());
    line.key.secret = decode(cut(parameters, '|'));
    if (line.key.secret.size() != size) return std::nullopt;
    if (!parameters.empty() && !is_lifetime(parameters)) return std::nullopt;  // an MKI holds a colon
    for (auto parameter = next_word(value); !parameter.empty(); parameter = next_word(value)) {
        if (!may_pass_over(parameter)) return std::nullopt;
    }
    return line;
}

Sdes::Sdes(Encryption wanted, const std::vector<std::string> &suites)
    : wanted_(wanted) {
    if (wanted != Encryption::off) suites_ = suites.empty() ? srtp_suites() : suites;
}

const SrtpKey &Sdes::key(const std::string &suite) {
    for (const auto &made : keys_) {
        if (made.suite == suite) return made;
    }
    return keys_.emplace_back(make_key(suite));
}

void Sdes::use(const std::string &suite) {
    if (suite == in_use_) return;
    std::erase_if(keys_, [this](const SrtpKey &made) { return made.suite == in_use_; });
    in_use_ = suite;
}

void Sdes::offer(pj_pool_t *pool, pjmedia_sdp_media *ours) {
    if (wanted_ == Encryption::off) return;
    if (wanted_ == Encryption::mandatory) ours->desc.transport = pj_str(const_cast<char *>("RTP/SAVP"));
    std::stable_partition(suites_.begin(), suites_.end(), [this](const auto &suite) { return suite == in_use_; });
    unsigned tag = 0;
    for (const auto &suite : suites_) add(pool, ours, ++tag, key(suite));
}

// What is in use stays in use; else the peer's preference counts (RFC 4568 5.1.2).
std::optional<KeyLine> Sdes::choose(const pjmedia_sdp_media *theirs) const {
    std::optional<KeyLine> chosen;
    for (const auto &value : crypto_of(theirs)) {
        auto line = parse_key_line(value);
        if (!line || std::find(suites_.begin(), suites_.end(), line->key.suite) == suites_.end()) continue;
        if (line->key.suite == in_use_) return line;
        if (!chosen) chosen = std::move(line);
    }
    return chosen;
}

bool Sdes::can_answer(const pjmedia_sdp_media *theirs) const {
    if (is_dtls(theirs)) return false;
    if (wanted_ == Encryption::off) return !is_secure(theirs);
    return (wanted_ == Encryption::optional && !is_secure(theirs)) || choose(theirs).has_value();
}

void Sdes::answer(pj_pool_t *pool, pjmedia_sdp_media *ours, const pjmedia_sdp_media *theirs) {
    if (wanted_ == Encryption::off) return;
    const auto chosen = choose(theirs);
    if (!chosen) return;
    if (is_secure(theirs)) ours->desc.transport = theirs->desc.transport;
    add(pool, ours, chosen->tag, key(chosen->key.suite));
}

std::string Sdes::agree(const pjmedia_sdp_media *ours, const pjmedia_sdp_media *theirs,
                        std::optional<SdesTerms> &terms) {
    terms.reset();
    const auto our_lines = crypto_of(ours), their_lines = crypto_of(theirs);
    // Whichever is the answer holds one line, with the tag and the suite of its choice (RFC 4568 5.1.3).
    for (const auto &value : their_lines) {
        const auto received = parse_key_line(value);
        if (!received) continue;
        for (const auto &our_value : our_lines) {
            const auto sent = parse_key_line(our_value);
            if (!sent || sent->tag != received->tag || sent->key.suite != received->key.suite) continue;
            use(sent->key.suite);
            terms = SdesTerms{sent->key, received->key};
            return {};
        }
    }
    if (!our_lines.empty() && !their_lines.empty()) return "the answer takes none of the SRTP keys offered";
    if (is_secure(theirs)) return "RTP/SAVP without an SRTP key";
    if (wanted_ == Encryption::mandatory) return "the media would not be encrypted";
    use({});
    return {};
}

}  // namespace quickcall
