// Dropout, forward and backward: the twins of minicnn/ops/dropout.py.
//
// What is kept follows from the address (seed, call, place) of each number alone, by Philox 4×32-10 as in
// minicnn/random.py: counter (block, block >> 32, call, DROPOUT), key (seed, seed >> 32), four words of 32 bits per
// block. Whole numbers throughout, so that masks are the same bits as on every other device, and backward makes the
// mask again instead of reading it.
//
// Grid and block of dropout: ceil(words / 1024) blocks of 256 threads; a thread makes one Philox block and the four
// numbers that it decides, read and written as float4 (double2 twice) where memory is aligned. No shared memory.
// Bytes per element: 2 sizeof(T). About 25 integer operations per element, 40 of 64 bits' worth of products per four.
// Limit: memory bandwidth.
#include "common.cuh"

struct Words {
    unsigned word[4];
};

// NumPy: philox_4x32 in minicnn/random.py
__device__ __forceinline__ Words philox(unsigned long long block, unsigned call, unsigned key0, unsigned key1) {
    unsigned c0 = (unsigned)block, c1 = (unsigned)(block >> 32), c2 = call, c3 = 1;  // 1: the stream of dropout
    for (int round = 0; round < 10; ++round) {
        unsigned high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
        unsigned high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
        c0 = high1 ^ c1 ^ key0;
        c1 = low1;
        c2 = high0 ^ c3 ^ key1;
        c3 = low0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return {{c0, c1, c2, c3}};
}

// Four numbers in one access of 16 bytes, or two of them.
__device__ __forceinline__ void copy_four(const float* from, float* to) {
    *(float4*)to = *(const float4*)from;
}
__device__ __forceinline__ void copy_four(const double* from, double* to) {
    ((double2*)to)[0] = ((const double2*)from)[0];
    ((double2*)to)[1] = ((const double2*)from)[1];
}

// NumPy: keep = dropout_keep(seed, call, p, start, n); y = np.where(keep, x * scale, 0); the gradient likewise
// Number j of the array has the place start + j, and so word (start + j) % 4 of the Philox block (start + j) / 4.
template <typename T>
__global__ void dropout_forward(const T* x, T* y, T scale, unsigned long long threshold, unsigned key0, unsigned key1,
                                unsigned call, index_t start, index_t n) {
    index_t block = start / 4 + global_index(), j = 4 * block - start;  // below 0 where others have the first words
    if (j >= n) return;
    Words words = philox((unsigned long long)block, call, key0, key1);
    bool whole = j >= 0 && j + 4 <= n && ((size_t)(x + j) | (size_t)(y + j)) % 16 == 0;
    __align__(16) T four[4];
    if (whole) copy_four(x + j, four);
    for (int k = 0; k < 4; ++k) {
        bool inside = j + k >= 0 && j + k < n;
        T v = whole ? four[k] : inside ? x[j + k] : T(0);
        four[k] = words.word[k] >= threshold ? v * scale : T(0);
        if (!whole && inside) y[j + k] = four[k];
    }
    if (whole) copy_four(four, y + j);
}

// NumPy: keep = dropout_keep(seed, call, p, start, n), for each channel of each image
// Grid: ceil(n / 256); block: 256 threads, one channel each.
__global__ void dropout2d_mask(bool* keep, unsigned long long threshold, unsigned key0, unsigned key1, unsigned call,
                               index_t start, index_t n) {
    index_t i = global_index();
    if (i >= n) return;
    index_t place = start + i;
    Words words = philox((unsigned long long)(place / 4), call, key0, key1);
    unsigned word = words.word[0];  // an index that is not known beforehand would put the four into memory
    for (int k = 1; k < 4; ++k)
        if (place % 4 == k) word = words.word[k];
    keep[i] = word >= threshold;
}

// NumPy: y = np.where(keep[:, None, None, :], x * scale, 0) for images (N, H, W, C); the gradient likewise
// Grid: (N·H, ceil(W·C / 256)); block: 256 threads, one element each. Limit: memory bandwidth.
template <typename T>
__global__ void dropout2d_forward(const T* x, const bool* keep, T* y, T scale, int H, int W, int C) {
    int i = blockIdx.y * blockDim.x + threadIdx.x;
    if (i >= W * C) return;
    index_t at = (index_t)blockIdx.x * W * C + i;
    y[at] = keep[(index_t)(blockIdx.x / H) * C + i % C] ? x[at] * scale : T(0);
}
