// What a .cu file needs so that g++ compiles it, unmodified, for the CPU. `build.py` writes a unit that includes this
// header, then the .cu file, then has one EXPORT line for each kernel. The threads themselves are in runtime.cpp.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <type_traits>
#include <utility>

// The language
#define __global__
#define __device__
#define __host__
#define __constant__ static const
// In C++ a `thread_local T x[N]` in a function is static, and `extern thread_local T x[]` names an array defined
// elsewhere: exactly the two forms of __shared__. So shared memory is this library's thread-local storage, where the
// runtime finds it and fills it with NaN before each block.
#define __shared__ thread_local
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

struct uint3 {
    unsigned x, y, z;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) double2 {
    double x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline double2 make_double2(double x, double y) { return {x, y}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

// Loads and stores in functions marked QUIET are not watched; atomics report themselves.
#ifdef EMULATION_INSTRUMENTED
#define ATOMIC_ACCESS(T, p) emulation_atomic((void*)(p), sizeof(T))
#define QUIET __attribute__((no_sanitize("thread"), no_sanitize_coverage, noinline))
#else
#define ATOMIC_ACCESS(T, p) ((void)0)
#define QUIET inline
#endif

// The runtime's part
extern "C" {
extern uint3 threadIdx, blockIdx, blockDim, gridDim;  // the scheduler sets threadIdx each time it resumes a thread
void emulation_barrier(int line);
// Waits until every lane of `mask` has come; result[lane] = that lane's `bits`, *present = the lanes that came.
const uint64_t* emulation_exchange(unsigned mask, uint64_t bits, int line, unsigned* present);
void emulation_atomic(void* p, int size);
}
constexpr int warpSize = 32;
#define __syncthreads() emulation_barrier(__builtin_LINE())
static inline int emulation_lane() { return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32; }

// Warp functions; the last default argument is the caller's line, for messages
template <class T>
QUIET T emulation_shuffle(unsigned mask, T value, int source, int line) {  // sizeof(T) <= 8
    uint64_t bits = 0;
    unsigned present;
    memcpy(&bits, &value, sizeof value);
    const uint64_t* all = emulation_exchange(mask, bits, line, &present);
    bits = present >> source & 1 ? all[source] : ~0ull;  // of an absent lane: undefined on a GPU, NaN here
    memcpy(&value, &bits, sizeof value);
    return value;
}
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, int line = __builtin_LINE()) {
    return emulation_shuffle(mask, value, (emulation_lane() & ~(width - 1)) | (source & (width - 1)), line);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, int delta, int width = 32, int line = __builtin_LINE()) {
    int lane = emulation_lane();
    return emulation_shuffle(mask, value, (lane & (width - 1)) + delta < width ? lane + delta : lane, line);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, int line = __builtin_LINE()) {
    int lane = emulation_lane(), source = lane ^ bits;
    return emulation_shuffle(mask, value, (source & ~(width - 1)) <= (lane & ~(width - 1)) ? source : lane, line);
}
QUIET static unsigned __ballot_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
    unsigned present, result = 0;
    const uint64_t* all = emulation_exchange(mask, predicate != 0, line, &present);
    for (int i = 0; i < 32; ++i) result |= (present >> i & 1 && all[i] ? 1u : 0u) << i;
    return result;
}
static inline void __syncwarp(unsigned mask = ~0u, int line = __builtin_LINE()) { __ballot_sync(mask, 0, line); }

// Atomics: one thread runs at a time and is never interrupted in here, so plain code is atomic
template <class T>
using emulation_same = std::common_type_t<T>;  // lets atomicAdd(float*, 1) convert its second argument
#define READ_MODIFY_WRITE(name, expression)                  \
    template <class T>                                       \
    QUIET T name(T* p, emulation_same<T> v) {                \
        T old = (ATOMIC_ACCESS(T, p), *p);                   \
        *p = expression;                                     \
        return old;                                          \
    }
READ_MODIFY_WRITE(atomicAdd, old + v)
READ_MODIFY_WRITE(atomicMax, old > v ? old : v)
READ_MODIFY_WRITE(atomicMin, old < v ? old : v)
READ_MODIFY_WRITE(atomicOr, old | v)

// Arithmetic
template <class A, class B, class C = std::common_type_t<A, B>>
constexpr C min(A a, B b) {
    return (C)a < (C)b ? (C)a : (C)b;
}
template <class A, class B, class C = std::common_type_t<A, B>>
constexpr C max(A a, B b) {
    return (C)a > (C)b ? (C)a : (C)b;
}
static inline unsigned __umulhi(unsigned a, unsigned b) { return (uint64_t)a * b >> 32; }
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline float __int_as_float(int bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
static inline double __longlong_as_double(long long bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// emulation_call_<symbol>(args) calls the kernel with the values that args point to, as the CUDA driver does
template <class... A, size_t... I>
QUIET void emulation_apply(void (*kernel)(A...), void** args, std::index_sequence<I...>) {
    kernel(*(std::remove_reference_t<A>*)args[I]...);
}
template <class... A>
QUIET void emulation_apply(void (*kernel)(A...), void** args) {
    emulation_apply(kernel, args, std::index_sequence_for<A...>());
}
#define EXPORT(symbol, ...)                                                                            \
    extern "C" __attribute__((no_sanitize("thread"), no_sanitize_coverage)) void emulation_call_##symbol(void** args) {      \
        emulation_apply(__VA_ARGS__, args);                                                            \
    }
