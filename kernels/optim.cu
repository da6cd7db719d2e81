// The update steps of the optimisers, and the norm of all gradients: the twins of minicnn/ops/optim.py.
//
// One launch per parameter; a thread does all that one number needs, and reads and writes each array once. The norm is
// found in two steps and stays on the device, where clip_gradient reads it: no step waits for the host.
//
// Grid: ceil(n / 256) blocks along x; block: 256 threads, one element each; no shared memory.
// Neighbouring threads touch neighbouring addresses, so each warp's access is whole 32-byte sectors.
// Bytes per element: sizeof(T) for each array read or written: SGD 3, with momentum 5, Adam 7, RMSprop 5 to 9 times.
// 2 to 15 operations. Limit: memory bandwidth; for small parameters, the launches.
#include "common.cuh"

// NumPy: g = -g if maximize; g = g + weight_decay * parameter
template <typename T>
__device__ __forceinline__ T decayed(T parameter, T gradient, T weight_decay, int maximize) {
    T g = maximize ? -gradient : gradient;
    return weight_decay != T(0) ? g + weight_decay * parameter : g;  // 0 · inf would be nan
}

// NumPy: parameter -= lr * g
template <typename T>
__global__ void sgd_update(T* parameter, const T* gradient, T lr, T weight_decay, int maximize, index_t n) {
    index_t i = global_index();
    if (i < n) parameter[i] -= lr * decayed(parameter[i], gradient[i], weight_decay, maximize);
}

// NumPy: buffer = momentum * buffer + kept * g; parameter -= lr * (g + momentum * buffer if nesterov else buffer)
template <typename T>
__global__ void sgd_momentum_update(T* parameter, const T* gradient, T* buffer, T lr, T momentum, T kept,
                                    T weight_decay, int nesterov, int maximize, index_t n) {
    index_t i = global_index();
    if (i >= n) return;
    T g = decayed(parameter[i], gradient[i], weight_decay, maximize);
    T b = momentum * buffer[i] + kept * g;
    buffer[i] = b;
    parameter[i] -= lr * (nesterov ? g + momentum * b : b);
}

// NumPy: parameter *= shrink; m += (1 - beta1) * (g - m); v = beta2 * v + (1 - beta2) * g * g
// largest = np.maximum(largest, v), with `amsgrad` alone; parameter -= step * m / (np.sqrt(v or largest) / root + eps)
// with step = lr / (1 - beta1 ** t), root = sqrt(1 - beta2 ** t); shrink = 1 - lr * weight_decay for AdamW, else 1
template <typename T>
__global__ void adam_update(T* parameter, const T* gradient, T* m, T* v, T* largest, T shrink, T rest1, T beta2,
                            T rest2, T step, T root, T eps, T weight_decay, int amsgrad, int maximize, index_t n) {
    index_t i = global_index();
    if (i >= n) return;
    T p = parameter[i] * shrink, g = decayed(p, gradient[i], weight_decay, maximize);
    T mean = m[i] + rest1 * (g - m[i]), square = beta2 * v[i] + rest2 * (g * g);
    m[i] = mean;
    v[i] = square;
    if (amsgrad) largest[i] = square = larger(largest[i], square);
    parameter[i] = p - step * (mean / (sqrt(square) / root + eps));
}

// NumPy: v = alpha * v + (1 - alpha) * g * g; `centered`: average += (1 - alpha) * (g - average), v - average ** 2 below
// step = g / (np.sqrt(v) + eps); `momentum`: buffer = momentum * buffer + step, which is taken; parameter -= lr * step
template <typename T>
__global__ void rmsprop_update(T* parameter, const T* gradient, T* v, T* average, T* buffer, T lr, T alpha, T rest,
                               T eps, T weight_decay, T momentum, int centered, int maximize, index_t n) {
    index_t i = global_index();
    if (i >= n) return;
    T g = decayed(parameter[i], gradient[i], weight_decay, maximize);
    T square = alpha * v[i] + rest * (g * g);
    v[i] = square;
    if (centered) {
        T a = average[i] + rest * (g - average[i]);
        average[i] = a;
        square = larger(square - a * a, T(0));  // fused, it can be below 0 by a rounding where v = a²
    }
    T step = g / (sqrt(square) + eps);
    if (momentum != T(0)) buffer[i] = step = momentum * buffer[i] + step;
    parameter[i] -= lr * step;
}

// NumPy: partial[block] = (np.abs(g[block]) ** p).sum(), in float64; for p = inf (`largest`) np.abs(g[block]).max()
// Grid: at most 128 blocks, which share the numbers; block: 256 threads. Shared memory: 512 bytes.
template <typename T>
__global__ void gradient_powers(const T* g, double* partial, double p, int largest, index_t n) {
    double found = 0;
    for (index_t i = global_index(); i < n; i += (index_t)gridDim.x * blockDim.x) {
        double size = fabs((double)g[i]);
        if (largest)
            found = larger(found, size);
        else
            found += p == 2 ? size * size : pow(size, p);
    }
    found = largest ? block_max(found) : block_sum(found);
    if (threadIdx.x == 0) partial[blockIdx.x] = found;
}

// NumPy: norm = partial.sum() ** (1 / p); for p = inf (`largest`) partial.max()
// Grid: one block; block: 256 threads. Shared memory: 512 bytes. Limit: latency; there are few numbers.
__global__ void gradient_norm(const double* partial, double* norm, double p, int largest, index_t n) {
    double found = 0;
    for (index_t i = threadIdx.x; i < n; i += blockDim.x) found = largest ? larger(found, partial[i]) : found + partial[i];
    found = largest ? block_max(found) : block_sum(found);
    if (threadIdx.x == 0) norm[0] = largest ? found : p == 2 ? sqrt(found) : pow(found, 1 / p);
}

// NumPy: g *= min(1, max_norm / (norm + 1e-6)); by nan where the norm is nan
template <typename T>
__global__ void clip_gradient(T* g, const double* norm, double max_norm, index_t n) {
    index_t i = global_index();
    double factor = max_norm / (norm[0] + 1e-6);
    if (i < n && (factor < 1 || is_nan(norm[0]))) g[i] *= T(factor);
}
