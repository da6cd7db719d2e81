// softmax, log_softmax and logsumexp, forward and backward: the twins of minicnn/ops/softmax.py.
//
// The launcher brings the axis of the classes to the end: x is a matrix of rows × columns.
// Grid: one block per row; block: 128 threads, thread t takes the columns t, t + 128, …; the largest number and the sum
// are found by warp shuffles. Shared memory: 512 bytes. Bytes per element: 3 sizeof(T) read, of which two come from
// the cache for rows up to some thousand columns, 1 written. About 25 operations.
// Limit: memory bandwidth; for a few short rows, the launch itself.
#include "common.cuh"

template <typename T>
__device__ __forceinline__ T row_max(const T* x, index_t columns) {
    T largest = -infinity<T>();
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x) largest = larger(largest, x[i]);
    return block_max(largest);
}
template <typename T>
__device__ __forceinline__ T row_exp_sum(const T* x, T shift, index_t columns) {
    T sum = 0;
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x) sum += exp(x[i] - shift);
    return block_sum(sum);
}

// NumPy: e = np.exp(x - x.max(1)); y = e / e.sum(1)
template <typename T>
__global__ void softmax_forward(const T* x, T* y, index_t columns) {
    const T* row = x + blockIdx.x * columns;
    T largest = row_max(row, columns), sum = row_exp_sum(row, largest, columns);
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x)
        y[blockIdx.x * columns + i] = exp(row[i] - largest) / sum;
}

// NumPy: dx = y * (dy - (dy * y).sum(1))
template <typename T>
__global__ void softmax_backward(const T* dy, const T* y, T* dx, index_t columns) {
    index_t start = blockIdx.x * columns;
    T sum = 0;
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x) sum += dy[start + i] * y[start + i];
    sum = block_sum(sum);
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x) dx[start + i] = y[start + i] * (dy[start + i] - sum);
}

// NumPy: shifted = x - x.max(1); y = shifted - np.log(np.exp(shifted).sum(1))
template <typename T>
__global__ void log_softmax_forward(const T* x, T* y, index_t columns) {
    const T* row = x + blockIdx.x * columns;
    T largest = row_max(row, columns), log_sum = log(row_exp_sum(row, largest, columns));
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x)
        y[blockIdx.x * columns + i] = row[i] - largest - log_sum;
}

// NumPy: dx = dy - np.exp(y) * dy.sum(1)
template <typename T>
__global__ void log_softmax_backward(const T* dy, const T* y, T* dx, index_t columns) {
    index_t start = blockIdx.x * columns;
    T sum = 0;
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x) sum += dy[start + i];
    sum = block_sum(sum);
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x) dx[start + i] = dy[start + i] - exp(y[start + i]) * sum;
}

// NumPy: m = x.max(1), 0 where it is infinite; y = np.log(np.exp(x - m).sum(1)) + m
template <typename T>
__global__ void logsumexp_forward(const T* x, T* y, index_t columns) {
    const T* row = x + blockIdx.x * columns;
    T largest = row_max(row, columns);
    if (fabs(largest) == infinity<T>()) largest = T(0);  // inf - inf is NaN
    T sum = row_exp_sum(row, largest, columns);
    if (threadIdx.x == 0) y[blockIdx.x] = log(sum) + largest;
}

// NumPy: dx = dy * np.exp(x - y): one thread per element
template <typename T>
__global__ void logsumexp_backward(const T* dy, const T* x, const T* y, T* dx, index_t columns, index_t n) {
    index_t i = global_index();
    if (i < n) dx[i] = dy[i / columns] * exp(x[i] - y[i / columns]);
}
