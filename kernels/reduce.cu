// Reductions, forward and backward: the twins of minicnn/ops/reduce.py.
//
// The launcher brings the reduced axes to the end: x is a matrix of `rows` rows and `columns` columns, and each row
// becomes one number. Sums run in double as NumPy's definition does: float would drift over many numbers.
//
// Grid: one block per row; block: 128 threads. Thread t takes the columns t, t + 128, …, then the block adds up by
// warp shuffles (block_sum). Shared memory: 256 bytes, one number per warp. Bytes per element: sizeof(T), read once
// (var: twice). Limit: memory bandwidth for long rows; for short ones, idle threads.
#include "common.cuh"

// NumPy: y = x.sum(axis=1, dtype=np.float64) * scale
template <typename T>
__global__ void sum_rows(const T* x, T* y, double scale, index_t rows, index_t columns) {
    index_t row = blockIdx.x;
    double sum = 0;
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x) sum += x[row * columns + i];
    sum = block_sum(sum);
    if (threadIdx.x == 0 && row < rows) y[row] = T(sum * scale);
}

// NumPy: y = x.sum(axis=0). The gradient of a bias, and of what was broadcast along the rows.
// Grid: (ceil(columns / 32), pieces of the rows); block: 32 columns × 8 rows, so a warp reads 32 neighbouring numbers of
// one row. Each piece has its own row of y: a second launch adds them up. Shared memory: 8 × 32 doubles. Bytes per
// element: sizeof(T).
template <typename T>
__global__ void sum_columns(const T* x, T* y, index_t rows, index_t columns) {
    __shared__ double part[8][32];
    index_t column = (index_t)blockIdx.x * 32 + threadIdx.x;
    index_t end = rows * (blockIdx.y + 1) / gridDim.y;
    double sum = 0;
    if (column < columns)
        for (index_t r = rows * blockIdx.y / gridDim.y + threadIdx.y; r < end; r += 8) sum += x[r * columns + column];
    part[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y == 0 && column < columns) {
        for (int k = 1; k < 8; ++k) sum += part[k][threadIdx.x];
        y += blockIdx.y * columns;
        y[column] = T(sum);
    }
}

// NumPy: dx = np.broadcast_to(dy * scale, shape): one thread per element of dx
template <typename T>
__global__ void spread_rows(const T* dy, T* dx, double scale, index_t columns, index_t n) {
    index_t i = global_index();
    if (i < n) dx[i] = T(dy[i / columns] * scale);
}

// NumPy: m = x.mean(1); y = ((x - m) ** 2).sum(1) / freedom; with `root` its square root. Means and deviations in double.
template <typename T>
__global__ void var_rows(const T* x, T* y, T* mean, double freedom, int root, index_t rows, index_t columns) {
    index_t row = blockIdx.x;
    double sum = 0;
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x) sum += x[row * columns + i];
    double m = block_sum(sum) / columns;
    sum = 0;
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x) {
        double d = x[row * columns + i] - m;
        sum += d * d;
    }
    double variance = block_sum(sum) / freedom;
    if (threadIdx.x != 0 || row >= rows) return;
    y[row] = T(root ? sqrt(variance) : variance);
    mean[row] = T(m);
}

// NumPy: var: dx = dy * 2 * (x - m) / freedom;  std: dx = dy * (x - m) / (freedom * y), 0 where y = 0
template <typename T>
__global__ void var_backward(const T* dy, const T* x, const T* mean, const T* y, T* dx, double freedom, int root,
                             index_t columns, index_t n) {
    index_t i = global_index();
    if (i >= n) return;
    index_t row = i / columns;
    double d = (double)x[i] - (double)mean[row];
    double slope = root ? (y[row] == T(0) ? 0.0 : d / (freedom * (double)y[row])) : 2 * d / freedom;
    dx[i] = T((double)dy[row] * slope);
}

// Of equal numbers the first is wanted, of NaNs the first NaN.
template <typename T>
__device__ __forceinline__ bool comes_before(T a, index_t i, T b, index_t j) {  // is (a, i) a better answer than (b, j)?
    if (is_nan(a) != is_nan(b)) return is_nan(a);
    if (a > b) return true;
    return (a == b || is_nan(a)) && i < j;
}
// NumPy: k = np.argmax(sign * x, axis=1); y = x[:, k]
// Shared memory: one number and one index for each of the 128 threads; 7 times the upper half is merged into the lower.
template <typename T>
__global__ void extremum_rows(const T* x, T* y, index_t* k, T sign, index_t rows, index_t columns) {
    __shared__ T best[128];
    __shared__ index_t where[128];
    index_t row = blockIdx.x;
    int t = threadIdx.x;
    T value = -infinity<T>();
    index_t place = columns;  // nobody's yet: any column comes before
    for (index_t i = t; i < columns; i += blockDim.x) {
        T candidate = sign * x[row * columns + i];
        if (comes_before(candidate, i, value, place)) value = candidate, place = i;
    }
    best[t] = value;
    where[t] = place;
    for (int half = 64; half > 0; half /= 2) {
        __syncthreads();
        if (t < half && comes_before(best[t + half], where[t + half], best[t], where[t])) {
            best[t] = best[t + half];
            where[t] = where[t + half];
        }
    }
    if (t != 0 || row >= rows) return;
    k[row] = where[0];
    y[row] = x[row * columns + where[0]];
}

// NumPy: ties = x == y; dx = np.where(ties, dy, 0) / ties.sum(1). With `equal_nan` a NaN equals a NaN.
template <typename T>
__global__ void extremum_backward(const T* dy, const T* x, const T* y, T* dx, int equal_nan, index_t columns) {
    index_t row = blockIdx.x;
    T wanted = y[row];
    int count = 0;
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x) {
        T v = x[row * columns + i];
        count += v == wanted || (equal_nan && is_nan(v) && is_nan(wanted));
    }
    count = block_sum(count);
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x) {
        T v = x[row * columns + i];
        bool tie = v == wanted || (equal_nan && is_nan(v) && is_nan(wanted));
        dx[row * columns + i] = (tie ? dy[row] : T(0)) / T(count);
    }
}

// NumPy: dx = 0; dx[row, k[row]] = dy[row]: one thread per element of dx
template <typename T>
__global__ void place_rows(const T* dy, const index_t* k, T* dx, index_t columns, index_t n) {
    index_t i = global_index();
    if (i < n) dx[i] = i % columns == k[i / columns] ? dy[i / columns] : T(0);
}
