// SPDX-License-Identifier: GPL-2.0-or-later
//
// pjproject's compiled-in limits, as this engine needs them. scripts/build_pjsip.sh copies this file to
// pjlib/include/pj/config_site.h; the SWIG binding of the softphone is built with the same values.
// Upstream's defaults are those of one telephone on one desk: 4 calls, 64 sockets, select().
#pragma once

// ---- calls and sockets -------------------------------------------------------------------------

// Call slots of pjsua. Only as many as max_calls asks for at run time are touched.
#define PJSUA_MAX_CALLS 8192
// One socket pair per anchored leg, listeners, TCP and TLS connections. The process also needs the
// matching RLIMIT_NOFILE.
#define PJ_IOQUEUE_MAX_HANDLES 16384
// select() stops at descriptor 1024 and costs O(handles) per wake-up. Repeats what --enable-epoll sets,
// so that code compiled against the installed headers agrees with the library.
#define PJ_IOQUEUE_IMP PJ_IOQUEUE_IMP_EPOLL
// Hash sizes, 2^n-1 as sip_config.h asks. An answered INVITE keeps its transaction 32 s (RFC 6026),
// so 500 calls/s with two legs and BYE each already hold 40,000.
#define PJSIP_MAX_TSX_COUNT (64 * 1024 - 1)
#define PJSIP_MAX_DIALOG_COUNT (64 * 1024 - 1)
// Bursts of transaction timers end together; 10 a round (the default) lets them pile up behind traffic.
#define PJSIP_MAX_TIMED_OUT_ENTRIES 64
// Buckets for TCP and TLS connections of registered phones (default 31).
#define PJSIP_TPMGR_HTABLE_SIZE 4095
// A carrier reconnecting thousands of flows overruns the default backlog of 5.
#define PJSIP_TCP_TRANSPORT_BACKLOG 512
#define PJSIP_TLS_TRANSPORT_BACKLOG 512
// One UDP socket takes the traffic of all phones: 4 MiB hold a burst of some 4000 messages. The kernel
// clips this to net.core.rmem_max and wmem_max.
#define PJSIP_UDP_SO_RCVBUF_SIZE (4 * 1024 * 1024)
#define PJSIP_UDP_SO_SNDBUF_SIZE (4 * 1024 * 1024)
// Accounts here are local identities (one per transport and address family), never one per device.
#define PJSUA_MAX_ACC 64
// No presence is subscribed to; a slot is about 3 kB of static memory.
#define PJSUA_MAX_BUDDIES 8

// ---- messages ----------------------------------------------------------------------------------

// Largest SIP message, received or sent. Every message sent allocates this much and an answered INVITE
// keeps it 32 s, so 64 kB (RFC 3261 18.1.1) is no choice. Just below two 4000-byte pool increments:
// from 7951 on, the pool would take three.
#define PJSIP_MAX_PKT_LEN 7900
// Contacts with push tokens and sip.instance parameters pass 400 characters (default 256).
#define PJSIP_MAX_URL_SIZE 1024
// An SDP of a video phone with several codecs overruns pjsua2's default of 1024.
#define PJSUA2_MAX_SDP_BUF_LEN 4096
// Media lines per session. pjsua keeps two records per possible line in every call slot (default 16);
// audio, video, application, T.38 and text fit.
#define PJMEDIA_MAX_SDP_MEDIA 6
// RFC 3261 18.1.1's switch to TCP above 1300 bytes surprises phones registered over UDP: they would be
// dialled on a TCP port nobody listens on.
#define PJSIP_DONT_SWITCH_TO_TCP 1
// Whole messages go into one log entry (default 4000).
#define PJ_LOG_MAX_SIZE 8192
// Everything up to message dumps can be switched on at run time; 6 is only useful inside pjlib.
#define PJ_LOG_MAX_LEVEL 5

// ---- network and security ----------------------------------------------------------------------

#define PJ_HAS_IPV6 1
#define PJ_HAS_SSL_SOCK 1
#define PJ_SSL_SOCK_IMP PJ_SSL_SOCK_IMP_OPENSSL
#define PJMEDIA_HAS_SRTP 1

// ---- media -------------------------------------------------------------------------------------

// Relayed legs stay off the conference bridge; ports are for tones, announcements and transcoding.
// Connecting and removing a port scans all of them, and pjsua_conf_port_info carries an array this long.
// pjsua raises its own max_media_ports to max_calls + 2 when that is larger.
#define PJSUA_MAX_CONF_PORTS 1024
// Levelling would alter audio that is only passing through, and costs CPU per port and frame.
#define PJMEDIA_CONF_USE_AGC 0
// 101 is what telephones and carriers use by habit; some ignore what rtpmap says (default 120).
#define PJMEDIA_RTP_PT_TELEPHONE_EVENTS 101
// One telephone-event, at 8000 Hz: 101/8000 is what everybody understands. With one per clock rate (the
// default) payload type 101 would be the 48000 Hz one whenever opus is offered.
#define PJMEDIA_TELEPHONE_EVENT_ALL_CLOCKRATES 0
// A server has no sound card, picture or echo to cancel.
#define PJMEDIA_HAS_VIDEO 0
#define PJSUA_HAS_VIDEO 0
#define PJMEDIA_HAS_LEGACY_SOUND_API 0
#define PJMEDIA_HAS_SPEEX_AEC 0
// Codecs: PCMU, PCMA, G.722, opus, GSM, speex, G.729, AMR, AMR-WB; the libraries are Debian's. What is on or off here
// is so in configure too, so that code compiled against the installed headers agrees with the library. The last patents
// on G.729 ended in 2017; AMR and AMR-WB may still be licensed in some countries, and are never offered unasked.
#define PJMEDIA_HAS_G711_CODEC 1
#define PJMEDIA_HAS_G722_CODEC 1
#define PJMEDIA_HAS_OPUS_CODEC 1
#define PJMEDIA_HAS_GSM_CODEC 1
#define PJMEDIA_HAS_SPEEX_CODEC 1
#define PJMEDIA_HAS_BCG729 1
#define PJMEDIA_HAS_OPENCORE_AMRNB_CODEC 1
#define PJMEDIA_HAS_OPENCORE_AMRWB_CODEC 1
#define PJMEDIA_HAS_L16_CODEC 0
#define PJMEDIA_HAS_ILBC_CODEC 0
#define PJMEDIA_HAS_G7221_CODEC 0
