// What every kernel file shares. Compiles with nvcc, with NVRTC (CuPy's RawModule), and with g++ for `cuda:sim`.
//
// T is float or double throughout. Arrays are flat and dense; n is the number of elements. Indices are 64 bits wide:
// an array may have more than 2^31 elements, and blockIdx.x * blockDim.x alone would wrap.
#pragma once

typedef long long index_t;

__device__ __forceinline__ index_t global_index() {  // the number of this thread in a grid along x
    return (index_t)blockIdx.x * blockDim.x + threadIdx.x;
}

// NVRTC has no <limits>
template <typename T>
__device__ T infinity();
template <>
__device__ __forceinline__ float infinity<float>() {
    return __int_as_float(0x7f800000);
}
template <>
__device__ __forceinline__ double infinity<double>() {
    return __longlong_as_double(0x7ff0000000000000LL);
}

template <typename T>
__device__ __forceinline__ bool is_nan(T x) {
    return x != x;
}

// The sum of v over the threads of a block whose size is a multiple of 32, in every thread. Each warp adds its values
// up by shuffles: in 5 steps lane i gets what lane i ^ 16, i ^ 8, … i ^ 1 has. Then the warps' sums meet in shared
// memory. The first barrier keeps a second call from overwriting sums that are still read.
template <typename T>
__device__ __forceinline__ T block_sum(T v) {
    __shared__ T sums[32];
    int thread = threadIdx.x + blockDim.x * threadIdx.y, warps = blockDim.x * blockDim.y / 32;
    for (int d = 16; d > 0; d >>= 1) v += __shfl_xor_sync(0xffffffffu, v, d);
    __syncthreads();
    if (thread % 32 == 0) sums[thread / 32] = v;
    __syncthreads();
    v = T(0);
    for (int w = 0; w < warps; ++w) v += sums[w];
    return v;
}

// The largest v of a block likewise; NaN wins.
template <typename T>
__device__ __forceinline__ T larger(T a, T b) {
    return a > b || is_nan(a) ? a : b;
}
template <typename T>
__device__ __forceinline__ T block_max(T v) {
    __shared__ T largest[32];
    int thread = threadIdx.x, warps = blockDim.x / 32;
    for (int d = 16; d > 0; d >>= 1) v = larger(v, __shfl_xor_sync(0xffffffffu, v, d));
    __syncthreads();
    if (thread % 32 == 0) largest[thread / 32] = v;
    __syncthreads();
    v = largest[0];
    for (int w = 1; w < warps; ++w) v = larger(v, largest[w]);
    return v;
}
