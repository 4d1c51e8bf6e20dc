// The media of one leg: what comes in, what goes out. Media thread only.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "digit_listener.hpp"
#include "digit_player.hpp"
#include "latch.hpp"
#include "mailbox.hpp"
#include "media.hpp"
#include "player.hpp"
#include "ports.hpp"
#include "receiver.hpp"
#include "recorder.hpp"
#include "rtcp.hpp"
#include "rtp.hpp"
#include "sender.hpp"
#include "srtp.hpp"
#include "timers.hpp"
#include "transcoder.hpp"
#include "webrtc.hpp"

namespace quickcall {

// What a stream needs of its thread.
struct MediaContext {
    const MediaConfig &config;
    Mailbox &mailbox;
    Timers &timers;
    const DtlsIdentity &identity;
    Gauge<std::uint64_t> &relayed;
    SoundLoader &sounds;
    Recorder &recorder;
};

class Stream final : private WebrtcOwner {
public:
    Stream(LegId leg, PortPair &pair, std::shared_ptr<Counters> counters, const MediaContext &context);
    ~Stream();
    Stream(const Stream &) = delete;
    Stream &operator=(const Stream &) = delete;

    void agree(MediaTerms &&terms, Time now);
    void answered(Time now);
    // What either receives is sent by the other; an earlier other is let go of.
    void join(Stream &other, Time now);
    void split();

    // stream_digits.cpp. False: they are not sent.
    bool send_digits(std::string_view digits, unsigned duration_ms, Time now);
    // Once in `report_every`: tells the peer by RTCP how it goes.
    void report(Time now);
    // About once a second: whether a leg that should send does.
    void listen(Time now);
    static constexpr std::chrono::seconds report_every{5};  // RFC 3550 6.2

    // Its place among the streams of the thread.
    std::size_t row = 0;

    // A datagram that came to the port of RTP (0) or of RTCP (1); its bytes may be changed.
    void receive(Datagram &datagram, const sockaddr_storage &from, int which, Time now);

    // stream_sounds.cpp
    void play(std::uint64_t id, std::string &&sound, bool repeat);
    void stop_playing();
    void use_sound(const SoundWanted &wanted, std::shared_ptr<const Packets> &&packets, const std::string &error,
                   Time now);
    void record(std::string &&path, double max_s, Time now);
    void stop_recording(Time now);

private:
    static constexpr int none = -1;
    static constexpr std::size_t max_formats = 32;  // PJMEDIA_MAX_SDP_FMT

    void receive_rtp(Datagram &datagram, const sockaddr_storage &from, Time now);
    void receive_rtcp(Datagram &datagram, const sockaddr_storage &from, int which, Time now);
    // Sends what `from` received in its format of that place.
    void pass_on(Stream &from, Datagram &datagram, RtpHeader rtp, std::size_t format, Time now);
    // Sends a packet whose header is set but for what the Sender decides.
    void send_rtp(Datagram &datagram, RtpHeader rtp, const Origin &origin, unsigned rate, Time now);
    // stream_codecs.cpp: sound in a codec that the peer does not take is decoded and encoded anew.
    void transcode(Stream &from, const Datagram &datagram, const RtpHeader &rtp, std::size_t format, Time now);
    bool open_transcoder(Stream &from, std::size_t format);
    Origin transcoded_origin(const Stream &from, std::uint32_t ssrc) const;
    void forget_codecs();
    void note_source();
    void use_keys(Time now);
    void use(const SrtpKey &sent, const SrtpKey &received);
    // Of a stream with DTLS: it has its keys, and the peer is where it has proven to be.
    bool lets_in(const sockaddr_storage &from) const {
        return webrtc_ == nullptr || (srtp_ != nullptr && webrtc_->accepts(from));
    }
    bool may_send(Time now) const { return webrtc_ == nullptr || (srtp_ != nullptr && webrtc_->may_send(now)); }
    void send_datagram(std::span<const std::uint8_t> bytes, const sockaddr_storage &to) override;
    void on_selected(const sockaddr_storage &address, Time now) override;
    void on_keys(const DtlsKeys &keys) override;
    void on_no_keys(const std::string &reason) override;
    void post_heard() const;
    void post_silent(Time::duration passed, bool one_way) const;
    bool is_held() const { return !terms_.sends || !terms_.receives; }
    void translate_formats();
    // The codec the peer is sent when we choose, nullptr: nothing is agreed on.
    const Format *own_choice() const;
    void send_played(RtpHeader &rtp, std::span<const std::uint8_t> payload, unsigned rate, Time now);
    void tap(Side side, const Format *format, const Datagram &datagram, const RtpHeader &rtp, Time now);
    const Format *sent_format(std::uint8_t type) const;
    // stream_digits.cpp: digits of the peer, and whether the joined leg gets them too.
    void hear(const Format &format, std::size_t place, const Datagram &datagram, const RtpHeader &rtp, Time now);
    bool carries(std::size_t place) const;
    bool carries_tones() const;
    void listen_to_tones();
    // The clock of the timestamps of a packet: telephone-events keep to that of the sound they stand in for.
    unsigned clock_of(std::size_t place) const;
    bool sends_digits() const { return digits_ != nullptr && digits_->busy(); }
    // What the leg hears is made here: packets of others are not for it.
    bool hears_us() const { return (player_ != nullptr && player_->playing()) || sends_digits(); }
    // Sends a packet of ours that is no one's copy.
    void send_made(RtpHeader &rtp, std::span<const std::uint8_t> payload, const Origin &origin, unsigned rate, Time now);
    void add_types(int Format::*type);

    const LegId leg_;
    PortPair &pair_;
    const std::shared_ptr<Counters> counters_;
    MediaContext context_;

    MediaTerms terms_;
    std::array<std::int8_t, 128> format_of_;          // payload type of the peer's packets -> place in `terms_.formats`
    std::array<std::int8_t, max_formats> type_onward_;  // place -> payload type on the joined leg
    Latch latch_;
    Receiver receiver_;
    Sender sender_;
    std::unique_ptr<Webrtc> webrtc_;  // nullptr: neither ICE nor DTLS
    std::unique_ptr<Srtp> srtp_;      // nullptr: in the clear, or, with DTLS, no keys yet
    Rtcp rtcp_;
    sockaddr_storage described_rtcp_{}, rtcp_target_{};  // without mux
    Time alive_{}, agreed_{}, joined_{};                 // the last RTCP; agreement or answer; join
    bool answered_ = false;
    bool heard_told_ = false, moved_ = false;
    bool silence_told_ = false, one_way_told_ = false;
    std::int8_t format_before_ = none;                   // place of the format that came last
    Stream *other_ = nullptr;
    Codecs codecs_;                           // open for what the peer says, and is told
    std::unique_ptr<Transcoder> transcoder_;  // while the other's sound is not in a format of the peer
    std::int8_t transcoded_ = none;           // place of the format that it is for, or that cannot be decoded
    std::uint32_t transcoders_ = 0;           // made so far
    const Format *encoded_ = nullptr;         // what it makes, in `terms_`
    std::unique_ptr<Player> player_;   // once something was played
    Recording *recording_ = nullptr;
    bool tones_ = false;                      // digits of the peer come as tones
    std::int8_t sound_ = none;                // place of the format of its last packet of sound
    std::unique_ptr<DigitListener> listener_;  // once there was something to listen to
    std::unique_ptr<DigitPlayer> digits_;      // once digits were sent
};

}  // namespace quickcall
