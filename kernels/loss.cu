// Losses, forward and backward: the twins of minicnn/ops/loss.py.
//
// The launcher brings the axis of the classes to the end: scores are a matrix of rows × columns, a row per example.
// Every row gives a loss and what it counts in the mean; reduce_losses makes one number of them, which stays on the
// device.
//
// Grid: cross_entropy: one block per row, block: 128 threads, thread t takes the columns t, t + 128, …; the others:
// ceil(n / 256) blocks of 256 threads, one row or element each. Shared memory: 512 bytes at most.
// Bytes per element: cross_entropy forward 4 sizeof(T), of which two reads come from the cache, backward 2 sizeof(T).
// About 30 operations. Limit: memory bandwidth; for a few hundred rows, the launch itself.
//
// A label outside 0 … columns − 1 makes the loss nan, which the training loop sees: to ask for the largest label before
// the launch, as the other devices do, would make the host wait for the GPU.
#include "common.cuh"

template <typename T>
__device__ __forceinline__ T nan_value() {
    return infinity<T>() * T(0);
}

// NumPy: logp = log_softmax(x, 1); wq = w * ((1 - smoothing) * q + smoothing / C), 0 where the label is to be ignored;
// losses = -(wq * logp).sum(1); sums = wq.sum(1), for backward; counts = w[label], 0 where ignored
// q is the target if it is `given`, else 1 at the label and 0 elsewhere (then counts = 1). w is 1 unless `weighted`.
template <typename T>
__global__ void cross_entropy_forward(const T* x, const index_t* labels, const T* target, const T* weight, T* logp,
                                      T* losses, T* sums, T* counts, int given, int weighted, index_t ignore_index,
                                      double smoothing, index_t columns) {
    index_t row = blockIdx.x, start = row * columns;
    T largest = -infinity<T>(), sum = 0;
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x) largest = larger(largest, x[start + i]);
    largest = block_max(largest);
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x) sum += exp(x[start + i] - largest);
    T log_sum = log(block_sum(sum));
    index_t label = given ? -1 : labels[row];
    bool kept = given || label != ignore_index;
    T loss = 0, total = 0, one = T(1 - smoothing), rest = T(smoothing / columns);
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x) {
        T value = x[start + i] - largest - log_sum;
        T q = given ? target[start + i] : T(i == label);
        T wq = kept ? (weighted ? weight[i] : T(1)) * (one * q + rest) : T(0);
        logp[start + i] = value;
        loss -= wq == T(0) ? T(0) : wq * value;  // 0 · log 0 = 0
        total += wq;
    }
    loss = block_sum(loss);
    total = block_sum(total);
    if (threadIdx.x != 0) return;
    bool valid = given || (label >= 0 && label < columns);
    losses[row] = kept && !valid ? nan_value<T>() : loss;
    sums[row] = total;
    counts[row] = given ? T(1) : !kept ? T(0) : weighted && valid ? weight[label] : T(1);
}

// NumPy: d = dloss / total; dx = d * (np.exp(logp) * sums - wq); of an ignored row d = 0, but a nan in it stays visible
template <typename T>
__global__ void cross_entropy_backward(const T* dloss, const T* total, const T* logp, const index_t* labels,
                                       const T* target, const T* weight, const T* sums, T* dx, int per_row, int mean,
                                       int given, int weighted, index_t ignore_index, double smoothing,
                                       index_t columns) {
    index_t row = blockIdx.x, start = row * columns;
    index_t label = given ? -1 : labels[row];
    bool kept = given || label != ignore_index;
    T d = kept ? dloss[per_row ? row : 0] : T(0), one = T(1 - smoothing), rest = T(smoothing / columns);
    if (mean && kept) d /= total[0];
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x) {
        T q = given ? target[start + i] : T(i == label);
        T wq = kept ? (weighted ? weight[i] : T(1)) * (one * q + rest) : T(0);
        dx[start + i] = d * (exp(logp[start + i]) * sums[row] - wq);
    }
}

// NumPy: dtarget = -(1 - smoothing) * dloss / total * w * logp
template <typename T>
__global__ void cross_entropy_backward_target(const T* dloss, const T* total, const T* logp, const T* weight, T* dtarget,
                                              int per_row, int mean, int weighted, double smoothing, index_t columns) {
    index_t row = blockIdx.x, start = row * columns;
    T d = dloss[per_row ? row : 0];
    if (mean) d /= total[0];
    for (index_t i = threadIdx.x; i < columns; i += blockDim.x)
        dtarget[start + i] = -T(1 - smoothing) * d * (weighted ? weight[i] : T(1)) * logp[start + i];
}

// NumPy: losses = -w[labels] * logp[rows, labels]; counts = w[labels]; both 0 where the label is to be ignored
template <typename T>
__global__ void nll_loss_forward(const T* logp, const index_t* labels, const T* weight, T* losses, T* counts,
                                 int weighted, index_t ignore_index, index_t columns, index_t rows) {
    index_t row = global_index();
    if (row >= rows) return;
    index_t label = labels[row];
    bool kept = label != ignore_index, valid = label >= 0 && label < columns;
    T w = !kept ? T(0) : weighted && valid ? weight[label] : T(1);
    losses[row] = !kept ? T(0) : valid ? -w * logp[row * columns + label] : nan_value<T>();
    counts[row] = w;
}

// NumPy: dlogp = 0; dlogp[rows, labels] = -counts * dloss / total, 0 where the label is to be ignored
template <typename T>
__global__ void nll_loss_backward(const T* dloss, const T* total, const index_t* labels, const T* counts, T* dlogp,
                                  int per_row, int mean, index_t ignore_index, index_t columns, index_t n) {
    index_t i = global_index();
    if (i >= n) return;
    index_t row = i / columns, label = labels[row];
    T d = 0;
    if (label != ignore_index && label == i % columns) {
        d = -counts[row] * dloss[per_row ? row : 0];
        if (mean) d /= total[0];
    }
    dlogp[i] = d;
}

// NumPy: total = counts.sum(); loss = losses.sum(), with `mean` / total
// Grid: one block; block: 256 threads, a 256th of the rows each. Limit: latency; there are few rows.
template <typename T>
__global__ void reduce_losses(const T* losses, const T* counts, T* loss, T* total, int mean, index_t rows) {
    double sum = 0, count = 0;
    for (index_t i = threadIdx.x; i < rows; i += blockDim.x) {
        sum += losses[i];
        count += counts[i];
    }
    sum = block_sum(sum);
    count = block_sum(count);
    if (threadIdx.x != 0) return;
    total[0] = T(count);
    loss[0] = T(mean ? sum / count : sum);
}

// NumPy: losses = -(t * np.maximum(np.log(x), -100) + (1 - t) * np.maximum(np.log(1 - x), -100))
template <typename T>
__global__ void binary_cross_entropy_forward(const T* x, const T* target, T* losses, index_t n) {
    index_t i = global_index();
    if (i >= n) return;
    T t = target[i], certain = larger(T(log(x[i])), T(-100)), other = larger(T(log(T(1) - x[i])), T(-100));
    losses[i] = -(t * certain + (T(1) - t) * other);
}

// NumPy: dx = dloss * (x - t) / np.maximum(x * (1 - x), 1e-12); dt = dloss * (np.log(1 - x) - np.log(x))
template <typename T>
__global__ void binary_cross_entropy_backward(const T* dloss, const T* x, const T* target, T* dx, T* dtarget,
                                              index_t n) {
    index_t i = global_index();
    if (i >= n) return;
    T v = x[i];
    dx[i] = dloss[i] * (v - target[i]) / larger(v * (T(1) - v), T(1e-12));
    dtarget[i] = dloss[i] * (T(log(T(1) - v)) - T(log(v)));
}
