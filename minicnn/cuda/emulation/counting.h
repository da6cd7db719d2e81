// What a launch does to a GPU's memory system: included by runtime.cpp, used in counting builds.
//
// Each thread logs its loads, stores and basic blocks. When all threads of a warp have stopped (at a barrier, a warp
// function, their end) the logs are laid side by side: what the lanes did at the same place of the program for the same
// time is one access of the warp, as it is on a GPU.
//   global memory: an access costs the 32-byte sectors that its lanes touch.
//   shared memory: 32 banks, each 4 bytes wide; an access costs as many wavefronts as one bank has different words. Of
//     8 bytes per lane half a warp goes at a time, of 16 bytes a quarter.
//   a branch diverges where lanes went on from the same basic block to different ones.
#pragma once
#include <algorithm>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <vector>

enum Kind : uint8_t { READ, WRITE, ATOMIC, BLOCK };
struct Event {
    uint32_t pc;
    Kind kind;
    bool shared;
    uint16_t size;
    uint64_t address;
};
struct Counts {  // the order of NAMES in counts.py
    uint64_t threads, warps, blocks;
    uint64_t read_bytes, written_bytes, global_accesses, sectors, least_sectors, block_sectors;
    uint64_t shared_bytes, shared_accesses, wavefronts, least_wavefronts;
    uint64_t atomics, branches, divergent;
};
Counts counts;
extern "C" {
[[gnu::visibility("hidden")]] uint64_t emulation_arithmetic[8];  // of KINDS in arithmetic.py, whose code counts
}
std::vector<std::vector<Event>> logs;  // of each thread of the block
std::unordered_set<uint64_t> touched;  // sectors of global memory, by this block

struct Lane {
    unsigned lane;
    const Event* event;
};
void count_access(const Lane* lanes, size_t n) {
    const Event& first = *lanes[0].event;
    uint64_t bytes = 0;
    std::vector<std::pair<unsigned, uint64_t>> words;
    for (size_t i = 0; i < n; ++i) bytes += lanes[i].event->size;
    if (first.kind == ATOMIC) counts.atomics += n;
    if (first.shared) {
        ++counts.shared_accesses, counts.shared_bytes += bytes;
        unsigned together = first.size == 8 ? 16 : first.size == 16 ? 8 : 32;
        for (unsigned low = 0; low < 32; low += together) {
            words.clear();
            for (size_t i = 0; i < n; ++i)
                if (lanes[i].lane >= low && lanes[i].lane < low + together)
                    for (uint64_t w = lanes[i].event->address / 4; w * 4 < lanes[i].event->address + first.size; ++w)
                        words.push_back({w % 32, w});
            if (words.empty()) continue;
            std::sort(words.begin(), words.end());
            words.erase(std::unique(words.begin(), words.end()), words.end());
            unsigned most = 0, of_bank[32] = {};
            for (auto& w : words) most = std::max(most, ++of_bank[w.first]);
            counts.wavefronts += most, counts.least_wavefronts += (words.size() + 31) / 32;
        }
        return;
    }
    (first.kind == READ ? counts.read_bytes : counts.written_bytes) += bytes;
    if (first.kind == ATOMIC) counts.read_bytes += bytes;
    std::vector<uint64_t> sectors, addresses;
    for (size_t i = 0; i < n; ++i) {
        const Event& e = *lanes[i].event;
        addresses.push_back(e.address);
        for (uint64_t s = e.address / 32; s * 32 < e.address + e.size; ++s) sectors.push_back(s);
    }
    for (auto* v : {&sectors, &addresses}) std::sort(v->begin(), v->end()), v->erase(std::unique(v->begin(), v->end()), v->end());
    ++counts.global_accesses, counts.sectors += sectors.size();
    counts.least_sectors += (addresses.size() * first.size + 31) / 32;  // were the different addresses neighbours
    for (uint64_t s : sectors) counts.block_sectors += touched.insert(s).second;
}
void count_branch(const std::vector<uint32_t>& next) {
    ++counts.branches;
    for (uint32_t n : next)
        if (n != next[0]) {
            ++counts.divergent;
            return;
        }
}
// Lays the logs of the lanes first … first + n − 1 side by side, and empties them.
void count_warp(unsigned first, unsigned n) {
    bool same = true;
    for (unsigned i = 1; i < n && same; ++i) {
        auto &a = logs[first], &b = logs[first + i];
        same = a.size() == b.size() &&
               std::equal(a.begin(), a.end(), b.begin(), [](auto& x, auto& y) { return x.pc == y.pc; });
    }
    if (same) {
        std::vector<Lane> lanes(n);
        for (size_t k = 0; k < logs[first].size(); ++k) {
            for (unsigned i = 0; i < n; ++i) lanes[i] = {i, &logs[first + i][k]};
            if (logs[first][k].kind != BLOCK) count_access(lanes.data(), n);
            else if (k + 1 < logs[first].size()) ++counts.branches;
        }
    } else {
        std::map<uint64_t, std::vector<Lane>> groups;              // (place, how often it was passed) → lanes there
        std::unordered_map<uint64_t, std::vector<uint32_t>> turns;  // the same → the blocks that followed
        std::unordered_map<uint32_t, uint32_t> times;
        for (unsigned i = 0; i < n; ++i) {
            times.clear();
            uint64_t block = 0;
            for (auto& e : logs[first + i]) {
                uint64_t key = (uint64_t)times[e.pc]++ << 32 | e.pc;
                if (e.kind != BLOCK) {
                    groups[key].push_back({i, &e});
                } else {
                    if (block) turns[block].push_back(e.pc);
                    block = key;
                }
            }
            if (block) turns[block].push_back(0);
        }
        for (auto& g : groups) count_access(g.second.data(), g.second.size());
        for (auto& t : turns) count_branch(t.second);
    }
    for (unsigned i = 0; i < n; ++i) logs[first + i].clear();
}
