// What one load costs whose address depends on the load before it, by the size of the working set.
//
// A look-up in an index is such a chain. Walks a random cycle through every cache line of the working
// set; then several such walks at once, which is what is left to gain by asking for many numbers
// together. Prints "bytes chains nanoseconds-per-load" a line.
//
//   load_latency CHAINS SMALLEST LARGEST        (sizes in bytes, doubled from one to the next)

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <new>
#include <numeric>
#include <random>
#include <vector>

namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kMostChains = 32;
constexpr std::size_t kLoads = 1'000'000;
constexpr int kRounds = 5;

struct alignas(kLine) Line {
    const Line* next;
};

// One cycle through all lines in random order, so that no prefetcher foresees it.
void link(std::vector<Line>& lines, std::mt19937_64& random) {
    std::vector<std::uint32_t> order(lines.size());
    std::iota(order.begin(), order.end(), 0U);
    std::shuffle(order.begin(), order.end(), random);
    for (std::size_t at = 0; at < order.size(); ++at) {
        lines[order[at]].next = &lines[order[(at + 1) % order.size()]];
    }
}

double nanoseconds_per_load(const std::vector<Line>& lines, std::size_t chains) {
    const Line* at[kMostChains];
    for (std::size_t chain = 0; chain < chains; ++chain) {
        at[chain] = &lines[lines.size() / chains * chain];
    }
    const std::size_t steps = std::max(kLoads / chains, lines.size() / chains);
    double best = std::numeric_limits<double>::infinity();
    // The first round only brings the lines near.
    for (int round = 0; round < kRounds; ++round) {
        const std::clock_t began = std::clock();
        for (std::size_t step = 0; step < steps; ++step) {
            for (std::size_t chain = 0; chain < chains; ++chain) {
                at[chain] = at[chain]->next;
            }
        }
        // Of this process alone, whatever else the machine does.
        const double seconds = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
        best = std::min(best, seconds * 1e9 / static_cast<double>(steps * chains));
    }
    // Keeps the compiler from dropping walks whose end nobody reads.
    const Line* volatile end = nullptr;
    for (std::size_t chain = 0; chain < chains; ++chain) end = at[chain];
    static_cast<void>(end);
    return best;
}

}  // namespace

int main(int count, char** values) {
    if (count != 4) {
        std::fputs("usage: load_latency CHAINS SMALLEST LARGEST\n", stderr);
        return EXIT_FAILURE;
    }
    const std::size_t chains = std::strtoul(values[1], nullptr, 10);
    const std::size_t smallest = std::strtoul(values[2], nullptr, 10);
    const std::size_t largest = std::strtoul(values[3], nullptr, 10);
    if (chains < 1 || chains > kMostChains || smallest < kLine * kMostChains) {
        std::fputs("load_latency: 1 to 32 chains, at least 2048 bytes\n", stderr);
        return EXIT_FAILURE;
    }
    std::mt19937_64 random(3);
    for (std::size_t bytes = smallest; bytes <= largest; bytes *= 2) {
        std::vector<Line> lines(bytes / kLine);
        link(lines, random);
        std::printf("%zu 1 %.2f\n", bytes, nanoseconds_per_load(lines, 1));
        std::printf("%zu %zu %.2f\n", bytes, chains, nanoseconds_per_load(lines, chains));
        std::fflush(stdout);
    }
    return EXIT_SUCCESS;
}
