// Runs the threads of a CUDA kernel on the CPU, and in checked builds watches every load and store.
//
// Blocks run one after another on one OS thread. The threads of a block are fibers: each runs until it reaches a
// barrier, a warp function or its end; then the next one runs. `order` chooses which thread and block goes first.
//
// For a checked build the kernel file is compiled with -fsanitize=thread,bounds-strict,… but not linked to those
// libraries: the compiler inserts a call before every load and store, and the functions it calls are defined at the
// end of this file. The first fault ends the launch before the bad access takes place.
#include <link.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "counting.h"

struct Dim {
    unsigned x, y, z;
};  // the layout of uint3 in cuda_on_cpu.h
extern "C" {
Dim threadIdx, blockIdx, blockDim, gridDim;
char* emulation_dynamic();  // in the kernels' unit: the array that `extern __shared__` names
}

namespace {

enum Mode { FAST, CHECKING, COUNTING };  // how the library was compiled and is run
constexpr size_t STACK = 256 << 10, GUARD = 4096;
enum State { NEW, READY, AT_BARRIER, AT_WARP, DONE };
struct Thread {
    State state;
    int line;
    unsigned mask;
    uint64_t bits;
    void* sp;
    char* stack;
};
struct Warp {
    uint64_t out[32];
    unsigned present, epoch;
};
std::vector<Thread> threads;
std::vector<Warp> warps;
std::vector<char*> free_stacks;
Thread* current;  // the running thread, or null outside kernels
void *scheduler_sp, **kernel_args;
void (*kernel)(void**);
unsigned epoch;  // grows at every barrier and block start
bool failed, counting;
char message[1024];
uintptr_t error_pc, watched_pc;  // watched_pc: the access that is being looked at, or 0
uintptr_t tls_low, tls_high;  // this library's thread-local storage is the kernels' shared memory

// Switching stacks: save the registers that a callee must keep, swap the stack pointer, restore. Ten times faster than
// swapcontext, which asks the kernel for the signal mask.
extern "C" void emulation_switch(void** save, void* load);
asm(".text\nemulation_switch:\n push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
    " mov %rsp,(%rdi)\n mov %rsi,%rsp\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n ret\n");

void to_scheduler() { emulation_switch(&current->sp, scheduler_sp); }

[[gnu::format(printf, 2, 3)]] void fail(void* pc, const char* format, ...) {
    if (failed) return;
    failed = true, error_pc = (uintptr_t)pc;
    va_list rest;
    va_start(rest, format);
    int n = vsnprintf(message, sizeof message, format, rest);
    va_end(rest);
    Dim b = blockIdx, t = threadIdx;
    if (!current) return;
    snprintf(message + n, sizeof message - n, " [block (%u,%u,%u) thread (%u,%u,%u)]", b.x, b.y, b.z, t.x, t.y, t.z);
    to_scheduler();  // never resumed: the bad access does not take place
}

// A wild address, a division by zero, or the time limit: the thread is left where it is.
void on_signal(int signal, siginfo_t* info, void* context) {
    if (!current) _exit(70);
    void* pc = (void*)(((ucontext_t*)context)->uc_mcontext.gregs[REG_RIP] + 1);
    if (watched_pc) pc = (void*)watched_pc;
    if (signal == SIGALRM) fail(pc, "still running at the time limit: an endless loop?");
    if (signal == SIGFPE) fail(pc, "integer division by zero");
    fail(pc, "wild address %p (or the thread's stack overflowed)", info->si_addr);
}
void install_handlers() {
    static char* stack = nullptr;
    if (stack) return;
    stack = (char*)mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t alternative = {stack, 0, STACK};
    sigaltstack(&alternative, nullptr);
    struct sigaction action = {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGALRM}) sigaction(signal, &action, nullptr);
}
void set_alarm(double seconds) {
    itimerval timer = {{0, 0}, {(time_t)seconds, (suseconds_t)((seconds - (time_t)seconds) * 1e6)}};
    setitimer(ITIMER_REAL, &timer, nullptr);
}

void fiber_main() { kernel(kernel_args), current->state = DONE, to_scheduler(); }
Dim place(unsigned t) { return {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)}; }
void resume(unsigned t) {
    current = &threads[t], threadIdx = place(t);
    if (current->state == NEW) {  // a kernel without barriers needs one stack: each thread hands it to the next
        if (free_stacks.empty()) {
            char* memory = (char*)mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            mprotect(memory, GUARD, PROT_NONE);
            free_stacks.push_back(memory);
        }
        current->stack = free_stacks.back(), free_stacks.pop_back();
        void** top = (void**)(current->stack + STACK);  // top[-2] is popped by `ret`, the six below are the registers
        top[-2] = (void*)fiber_main;
        current->sp = top - 8;
    }
    current->state = READY;
    emulation_switch(&scheduler_sp, current->sp);
    if (current->state == DONE) free_stacks.push_back(current->stack), current->stack = nullptr;
    current = nullptr;
}

// --- Checks: regions of memory, with one shadow cell for each word of four bytes
struct Access {
    unsigned thread, epoch, warp_epoch;  // 1 + the thread's number in its block; 0: nobody
    unsigned block;
    uint8_t bytes, atomic;
};
struct Cell {
    Access write, read[2];
    uint8_t initialised;
};
struct Region {
    uintptr_t low, high;
    char name[40];
    bool shared, initialised;
    Cell* cells;
    size_t size;
};
std::vector<Region> regions;
Region* last_region;
std::vector<std::pair<uintptr_t, uintptr_t>> image;  // this library's own code and data
int find_self(dl_phdr_info* info, size_t, void*) {
    auto* end = info->dlpi_phdr + info->dlpi_phnum;
    auto holds_me = [&](auto& p) {
        return p.p_type == PT_LOAD && (uintptr_t)&message - info->dlpi_addr - p.p_vaddr < p.p_memsz;
    };
    if (std::none_of(info->dlpi_phdr, end, holds_me)) return 0;
    image.clear();
    for (auto* p = info->dlpi_phdr; p < end; ++p) {
        uintptr_t start = info->dlpi_addr + p->p_vaddr;
        if (p->p_type == PT_LOAD) image.push_back({start, start + p->p_memsz});
        if (p->p_type == PT_TLS) tls_low = (uintptr_t)info->dlpi_tls_data, tls_high = tls_low + p->p_memsz;
    }
    return 1;
}
void add_region(uintptr_t low, uintptr_t high, const char* name, bool shared, bool initialised) {
    if (high <= low) return;
    Region r = {low, high, "", shared, initialised, nullptr, ((high - low) / 4 + 2) * sizeof(Cell)};
    snprintf(r.name, sizeof r.name, "%s", name);
    // Zeros that take memory only where they are touched: arrays of billions of elements can be checked in places.
    r.cells = (Cell*)mmap(nullptr, r.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    regions.push_back(r);
}
unsigned block_number() { return blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z); }
bool unordered(const Access& old, unsigned t) {  // may `old` and an access by thread t now happen at the same time?
    if (old.thread == 0) return false;
    if (old.block != block_number()) return true;  // nothing orders two blocks
    unsigned s = old.thread - 1;
    if (s == t) return false;
    // no barrier in between, and no warp function either
    return old.epoch == epoch && !(s / 32 == t / 32 && old.warp_epoch != warps[t / 32].epoch);
}
void out_of_bounds(uintptr_t a, size_t size, const char* what, void* pc) {
    auto distance = [a](const Region& r) { return std::min(r.low - a, a - r.high); };  // addresses may have wrapped
    if (regions.empty()) return fail(pc, "out-of-bounds %s of %zu bytes", what, size);
    auto& near = *std::min_element(regions.begin(), regions.end(),
                                   [&](auto& p, auto& q) { return distance(p) < distance(q); });
    fail(pc, "out-of-bounds %s of %zu bytes, %zu bytes %s '%s'", what, size, (size_t)distance(near),
         near.low - a < a - near.high ? "before the start of" : "past the end of", near.name);
}
void record(uintptr_t a, size_t size, Kind kind, void* pc) {
    for (auto& s : image)
        if (a >= s.first && a < s.second) return;  // built-in variables and tables of constants
    bool shared = a >= tls_low && a < tls_high;
    logs[current - threads.data()].push_back({(uint32_t)((uintptr_t)pc - image[0].first), kind, shared, (uint16_t)size, a});
}
void check(uintptr_t a, size_t size, bool write, bool atomic, void* pc) {
    if (!current || failed || a - (uintptr_t)current->stack < STACK) return;  // local variables are free
    if (counting) return record(a, size, atomic ? ATOMIC : write ? WRITE : READ, pc);
    const char* what = atomic ? "atomic" : write ? "write" : "read";
    Region* r = last_region;
    if (!r || a < r->low || a >= r->high) {
        r = nullptr;
        for (auto& x : regions)
            if (a >= x.low && a < x.high) r = &x;
        if (!r) {
            for (auto& s : image)
                if (a >= s.first && a < s.second) return;  // built-in variables and tables of constants
            return out_of_bounds(a, size, what, pc);
        }
        last_region = r;
    }
    if (a + size > r->high) return fail(pc, "out-of-bounds %s: %zu bytes straddle the end of '%s'", what, size, r->name);
    if (size <= 16 && a % size) return fail(pc, "misaligned %s of %zu bytes in '%s'", what, size, r->name);
    unsigned t = current - threads.data(), block = block_number();
    for (uintptr_t w = a & ~3ul; w < a + size; w += 4) {
        Cell& c = r->cells[(w - (r->low & ~3ul)) / 4];
        uintptr_t low = std::max(w, a), high = std::min(w + 4, a + size);
        uint8_t bytes = ((1u << (high - low)) - 1) << (low - w);
        if ((!write || atomic) && !r->initialised && (c.initialised & bytes) != bytes)
            return fail(pc, "%s of uninitialised memory: '%s' word %zu", what, r->name, (size_t)(w - r->low) / 4);
        auto conflict = [&](const Access& old, const char* did) {
            if (!(old.bytes & bytes) || !unordered(old, t)) return false;
            Dim o = place(old.thread - 1);
            bool same = old.block == block;
            fail(pc, "race on '%s' word %zu: %s here, and thread (%u,%u,%u) of %s %s it with nothing to order them",
                 r->name, (size_t)(w - r->low) / 4, what, o.x, o.y, o.z, same ? "the same block" : "another block", did);
            return true;
        };
        if (!(atomic && c.write.atomic) && conflict(c.write, "wrote")) return;
        if (write && (conflict(c.read[0], "read") || conflict(c.read[1], "read"))) return;
        if (!write && (c.read[0].thread != t + 1 || c.read[0].block != block)) c.read[1] = c.read[0];
        if (!write) c.read[0] = {t + 1, epoch, warps[t / 32].epoch, block, bytes, false};
        if (write) c.write = {t + 1, epoch, warps[t / 32].epoch, block, bytes, atomic}, c.initialised |= bytes;
    }
}

// After the whole grid has run: what a kernel was given to write must be written, or the next one reads what is not there.
void find_unwritten() {
    for (auto& r : regions) {
        if (r.initialised || r.shared) continue;
        size_t missing = 0, first = 0;
        for (uintptr_t w = r.low & ~3ul; w < r.high; w += 4) {
            uintptr_t low = std::max(w, r.low), high = std::min(w + 4, r.high);
            uint8_t bytes = ((1u << (high - low)) - 1) << (low - w);
            size_t k = (w - (r.low & ~3ul)) / 4;
            if ((r.cells[k].initialised & bytes) != bytes && !missing++) first = k;
        }
        if (missing)
            return fail(nullptr, "%zu words of '%s' were never written, the first is word %zu", missing, r.name, first);
    }
}

// --- The scheduler
bool release_warps() {
    bool any = false;
    for (unsigned w = 0; w < warps.size(); ++w) {
        unsigned n = std::min<size_t>(32, threads.size() - 32 * w), exist = n == 32 ? ~0u : (1u << n) - 1, here = 0;
        Thread* lane = &threads[32 * w];
        for (unsigned i = 0; i < n && !here; ++i) {  // one group at a time: a warp has one buffer of results
            if (lane[i].state != AT_WARP) continue;
            for (unsigned j = 0; j < n; ++j) {
                bool same = lane[j].state == AT_WARP && lane[j].mask == lane[i].mask && lane[j].line == lane[i].line;
                here |= (unsigned)same << j;
            }
            if (here != (lane[i].mask & exist)) here = 0;  // lanes that exited are waited for; those never there are not
        }
        for (unsigned j = 0; j < n; ++j)
            if (here >> j & 1) warps[w].out[j] = lane[j].bits, lane[j].state = READY;
        if (here) warps[w].present = here, ++warps[w].epoch, any = true;
    }
    return any;
}
void report_divergence(bool at_barriers) {
    unsigned first = threads.size(), second = threads.size();
    for (unsigned t = 0; t < threads.size(); ++t) {
        bool waits = threads[t].state == (at_barriers ? AT_BARRIER : AT_WARP);
        if (waits && first == threads.size()) first = t;
    }
    for (unsigned t = 0; t < threads.size(); ++t)
        if (threads[t].state != threads[first].state || threads[t].line != threads[first].line) second = t;
    second = std::min<unsigned>(second, threads.size() - 1);
    Dim p = place(first), q = place(second), b = blockIdx;
    char other[80];
    const Thread& o = threads[second];
    snprintf(other, sizeof other, o.state == DONE ? "has ended" : "waits on line %d", o.line);
    fail(nullptr, "%s: thread (%u,%u,%u) waits on line %d, thread (%u,%u,%u) %s [block (%u,%u,%u) thread (%u,%u,%u)]",
         at_barriers ? "barrier not reached by all threads" : "warp function not reached by all lanes of its mask", p.x,
         p.y, p.z, threads[first].line, q.x, q.y, q.z, other, b.x, b.y, b.z, p.x, p.y, p.z);
}
void run_block(int order, std::mt19937& random) {
    unsigned n = threads.size();
    std::vector<unsigned> turn(n);
    for (unsigned i = 0; i < n; ++i) turn[i] = order == 1 ? n - 1 - i : i, threads[i].state = NEW;
    for (++epoch;;) {
        if (order > 1) std::shuffle(turn.begin(), turn.end(), random);
        for (unsigned t : turn) {
            if (threads[t].state == NEW || threads[t].state == READY) resume(t);
            if (failed) return;
            if (counting && (t % 32 == 31 || t == n - 1)) count_warp(t / 32 * 32, t % 32 + 1);
        }
        unsigned done = 0, waiting = 0;
        int line = 0;
        bool other = false;
        for (auto& t : threads) {
            done += t.state == DONE, waiting += t.state == AT_BARRIER;
            if (t.state == AT_BARRIER) other |= line && line != t.line, line = t.line;
        }
        if (done == n) return;
        if (release_warps()) continue;
        if (!waiting) return report_divergence(false);
        if (other || waiting < n) return report_divergence(true);
        ++epoch;
        for (auto& t : threads) t.state = READY;
    }
}

}  // namespace

extern "C" {
void emulation_barrier(int line) { current->state = AT_BARRIER, current->line = line, to_scheduler(); }
const uint64_t* emulation_exchange(unsigned mask, uint64_t bits, int line, unsigned* present) {
    unsigned t = current - threads.data();
    if (!(mask >> (t % 32) & 1)) fail(nullptr, "warp function on line %d: the caller's lane is not in its mask", line);
    *current = {AT_WARP, line, mask, bits, current->sp, current->stack};
    to_scheduler();
    return *present = warps[t / 32].present, warps[t / 32].out;
}
void watched(void* p, size_t size, bool write, bool atomic, void* pc);
void emulation_atomic(void* p, int size) { watched(p, size, true, true, __builtin_return_address(0)); }

// Names an array that the next launch may touch (checked builds).
void emulation_add_array(void* p, size_t bytes, const char* name, int initialised) {
    add_region((uintptr_t)p, (uintptr_t)p + bytes, name, false, initialised);
}
// What the last launch of a counting build did: 16 numbers, then 8 of arithmetic.
void emulation_counts(uint64_t* to) {
    static_assert(sizeof counts == 16 * 8);
    memcpy(to, &counts, sizeof counts), memcpy(to + 16, emulation_arithmetic, sizeof emulation_arithmetic);
}
// Counting builds call this at the start of every basic block.
void __sanitizer_cov_trace_pc() {
    if (!counting || !current) return;
    uint32_t pc = (uintptr_t)__builtin_return_address(0) - image[0].first;
    logs[current - threads.data()].push_back({pc, BLOCK, false, 0, 0});
}
// order: 0 forward, 1 reverse, >1 random with that seed; blocks first_block … end_block − 1 run, 0 means all.
// Returns null or the error; *pc is then an offset in this library, or 0.
const char* emulation_launch(void (*function)(void**), void** args, const unsigned* grid, const unsigned* block,
                             size_t dynamic_bytes, size_t dynamic_max, int order, int checking, double seconds,
                             uint64_t first_block, uint64_t end_block, size_t* pc) {
    counting = checking == COUNTING, checking = checking == CHECKING, counts = {}, logs.assign(counting * 1024, {});
    memset(emulation_arithmetic, 0, sizeof emulation_arithmetic);
    failed = false, error_pc = 0, watched_pc = 0, last_region = nullptr, kernel = function, kernel_args = args;
    gridDim = {grid[0], grid[1], grid[2]}, blockDim = {block[0], block[1], block[2]};
    unsigned n = block[0] * block[1] * block[2];
    uint64_t blocks = (uint64_t)grid[0] * grid[1] * grid[2];
    if (end_block == 0) end_block = blocks;
    threads.assign(n, Thread{}), warps.assign((n + 31) / 32, Warp{});
    uintptr_t dynamic = (uintptr_t)emulation_dynamic();  // thread-local storage exists from this call on
    dl_iterate_phdr(find_self, nullptr);
    if (checking) {  // the dynamic array counts with the size that the launch asked for
        add_region(tls_low, dynamic, "shared memory", true, false);
        add_region(dynamic, dynamic + dynamic_bytes, "dynamic shared memory", true, false);
        add_region(dynamic + dynamic_max, tls_high, "shared memory", true, false);
    }
    install_handlers();
    set_alarm(seconds);
    std::mt19937 random(order);
    std::vector<uint64_t> turn;
    if (order > 1) {
        for (uint64_t i = first_block; i < end_block; ++i) turn.push_back(i);
        std::shuffle(turn.begin(), turn.end(), random);
    }
    for (uint64_t i = first_block; i < end_block && !failed; ++i) {
        uint64_t b = order > 1 ? turn[i - first_block] : order == 1 ? end_block - 1 - (i - first_block) : i;
        blockIdx = {(unsigned)(b % grid[0]), (unsigned)(b / grid[0] % grid[1]), (unsigned)(b / grid[0] / grid[1])};
        memset((void*)tls_low, 0xff, dynamic - tls_low + dynamic_bytes);  // poison: every float is NaN
        memset((void*)(dynamic + dynamic_max), 0xff, tls_high - dynamic - dynamic_max);
        for (auto& r : regions)
            if (r.shared) memset((void*)r.cells, 0, r.size);
        run_block(order, random);
        if (counting) counts.threads += n, counts.warps += warps.size(), ++counts.blocks, touched.clear();
    }
    set_alarm(0);
    if (checking && !failed && end_block - first_block == blocks) find_unwritten();
    for (auto& t : threads)
        if (t.stack) free_stacks.push_back(t.stack);
    for (auto& r : regions) munmap(r.cells, r.size);
    current = nullptr, regions.clear();
    *pc = error_pc ? error_pc - image[0].first : 0;
    return failed ? message : nullptr;
}

// --- What -fsanitize=thread calls
void watched(void* p, size_t size, bool write, bool atomic, void* pc) {
    watched_pc = (uintptr_t)pc;
    check((uintptr_t)p, size, write, atomic, pc);
    watched_pc = 0;
}
#define HOOK(name, size, write) \
    void __tsan_##name(void* p) { watched(p, size, write, false, __builtin_return_address(0)); }
#define HOOKS(n)                                                           \
    HOOK(read##n, n, false)                                                \
    HOOK(write##n, n, true)                                                \
    HOOK(unaligned_read##n, n, false) HOOK(unaligned_write##n, n, true)    \
    HOOK(volatile_read##n, n, false) HOOK(volatile_write##n, n, true)
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
void __tsan_read_range(void* p, size_t n) { watched(p, n, false, false, __builtin_return_address(0)); }
void __tsan_write_range(void* p, size_t n) { watched(p, n, true, false, __builtin_return_address(0)); }
void __tsan_init() {}

// --- What -fsanitize=bounds-strict,signed-integer-overflow,shift,integer-divide-by-zero,alignment calls
struct Where {  // every one of these functions gets it first
    const char* file;
    unsigned line, column;
};
#define UNDEFINED(name, text)                                                                         \
    void __ubsan_handle_##name(Where* w) {                                                            \
        const char* slash = strrchr(w->file, '/');                                                    \
        fail(nullptr, "%s:%u: " text, slash ? slash + 1 : w->file, w->line);                          \
    }
UNDEFINED(out_of_bounds, "out-of-bounds array index")
UNDEFINED(add_overflow, "signed overflow in +")
UNDEFINED(sub_overflow, "signed overflow in -")
UNDEFINED(mul_overflow, "signed overflow in *")
UNDEFINED(negate_overflow, "signed overflow in unary -")
UNDEFINED(divrem_overflow, "integer division by zero")
UNDEFINED(shift_out_of_bounds, "shift amount out of range")
UNDEFINED(type_mismatch_v1, "misaligned address")
}
