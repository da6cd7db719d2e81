// Comparisons, any and all, and division with remainder: the twins of minicnn/ops/logic.py, for floats. (Of whole
// numbers and bools they are bookkeeping.)
//
// Grid: ceil(n / 256) blocks along x; block: 256 threads, one element each; no shared memory, unless a kernel says
// otherwise. Neighbouring threads touch neighbouring addresses, so each warp's access is whole 32-byte sectors.
// Bytes per element: sizeof(T) for each array read or written, 1 for a bool. 1 to 30 operations.
// Limit: memory bandwidth.
#include "common.cuh"

enum Relation { EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL };

// NumPy: z = relation(x, y), one of np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal
template <typename T>
__global__ void compare_forward(const T* x, const T* y, bool* z, int relation, index_t n) {
    index_t i = global_index();
    if (i >= n) return;
    T a = x[i], b = y[i];
    z[i] = relation == EQUAL        ? a == b
           : relation == NOT_EQUAL  ? a != b
           : relation == LESS       ? a < b
           : relation == LESS_EQUAL ? a <= b
           : relation == GREATER    ? a > b
                                    : a >= b;
}

enum Kind { IS_NAN, IS_INF, IS_FINITE };

// NumPy: y = kind(x), one of np.isnan, np.isinf, np.isfinite
template <typename T>
__global__ void classify_forward(const T* x, bool* y, int kind, index_t n) {
    index_t i = global_index();
    if (i >= n) return;
    T v = x[i];
    bool infinite = fabs(v) == infinity<T>();
    y[i] = kind == IS_NAN ? is_nan(v) : kind == IS_INF ? infinite : !is_nan(v) && !infinite;
}

// NumPy: y = np.any(x != 0, axis=1), with `every` np.all
// Grid: one block per row; block: 128 threads. Shared memory: 128 bytes.
template <typename T>
__global__ void quantify_forward(const T* x, bool* y, int every, index_t rows, index_t columns) {
    index_t row = blockIdx.x;
    int found = 0;  // what decides: a number that is not 0, with `every` one that is
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x) found |= (x[row * columns + i] == T(0)) == (every != 0);
    found = block_max(found);
    if (threadIdx.x == 0 && row < rows) y[row] = (found != 0) != (every != 0);
}

// What np.remainder and np.floor_divide share: the remainder has the sign of b, and a − remainder is a multiple of b.
template <typename T>
__device__ __forceinline__ T remainder_of(T a, T b) {
    T rest = fmod(a, b);
    if (b == T(0)) return rest;  // nan
    if (rest == T(0)) return copysign(T(0), b);
    return (b < T(0)) != (rest < T(0)) ? rest + b : rest;
}
template <typename T>
__device__ __forceinline__ T quotient_of(T a, T b) {
    if (b == T(0)) return a / b;
    T rest = fmod(a, b), quotient = (a - rest) / b;
    if (rest != T(0) && (b < T(0)) != (rest < T(0))) quotient -= T(1);
    if (quotient == T(0)) return copysign(T(0), a / b);
    T whole = floor(quotient);
    return quotient - whole > T(0.5) ? whole + T(1) : whole;  // a rounding below the whole number that it should be
}

// NumPy: z = np.remainder(x, y)
template <typename T>
__global__ void remainder_forward(const T* x, const T* y, T* z, index_t n) {
    index_t i = global_index();
    if (i < n) z[i] = remainder_of(x[i], y[i]);
}

// NumPy: dy = -dz * np.floor_divide(x, y); dx is dz
template <typename T>
__global__ void remainder_backward(const T* dz, const T* x, const T* y, T* dy, index_t n) {
    index_t i = global_index();
    if (i < n) dy[i] = -dz[i] * quotient_of(x[i], y[i]);
}

// NumPy: z = np.floor_divide(x, y)
template <typename T>
__global__ void floor_divide_forward(const T* x, const T* y, T* z, index_t n) {
    index_t i = global_index();
    if (i < n) z[i] = quotient_of(x[i], y[i]);
}

// NumPy: z = np.trunc(x / y)
template <typename T>
__global__ void truncate_divide_forward(const T* x, const T* y, T* z, index_t n) {
    index_t i = global_index();
    if (i < n) z[i] = trunc(x[i] / y[i]);
}
