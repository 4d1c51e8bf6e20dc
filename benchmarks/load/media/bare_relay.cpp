// The least a relay can be: pairs of sockets, one thread, epoll, recvfrom, sendto. The floor of bench_media.py.
//
//   bare_relay ADDRESS PAIRS FIRST_PORT
//
// Socket n is at FIRST_PORT + n; what comes to 2n goes on from 2n+1 to whoever sent there last, and the other way round.
// It ends with its input.

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

struct Side {
    int fd = -1;
    sockaddr_in remote{};
};

int main(int count, char **words) {
    if (count != 4) return 2;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    rlimit files;
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    std::vector<Side> sides(std::strtoul(words[2], nullptr, 10) * 2);
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = sides.size();
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event);
    sockaddr_in local{};
    local.sin_family = AF_INET;
    ::inet_pton(AF_INET, words[1], &local.sin_addr);
    for (std::size_t at = 0; at < sides.size(); ++at) {
        sides[at].fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        local.sin_port = htons(static_cast<std::uint16_t>(std::strtoul(words[3], nullptr, 10) + at));
        if (::bind(sides[at].fd, reinterpret_cast<sockaddr *>(&local), sizeof local) != 0) {
            std::perror("bind");
            return 1;
        }
        event.data.u64 = at;
        ::epoll_ctl(epoll, EPOLL_CTL_ADD, sides[at].fd, &event);
    }
    std::puts("ready");
    std::fflush(stdout);
    epoll_event events[64];
    char packet[2048];
    for (;;) {
        const int ready = ::epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < ready; ++i) {
            const auto at = events[i].data.u64;
            if (at == sides.size()) return 0;
            Side &from = sides[at], &to = sides[at ^ 1];
            for (;;) {
                socklen_t length = sizeof from.remote;
                const auto size = ::recvfrom(from.fd, packet, sizeof packet, 0,
                                             reinterpret_cast<sockaddr *>(&from.remote), &length);
                if (size < 0) break;
                if (to.remote.sin_family == 0) continue;
                ::sendto(to.fd, packet, static_cast<std::size_t>(size), 0,
                         reinterpret_cast<sockaddr *>(&to.remote), sizeof to.remote);
            }
        }
    }
}
