// Activations, forward and backward: the twins of minicnn/ops/activation.py.
//
// Grid: ceil(n / 256) blocks along x; block: 256 threads, one element each; no shared memory.
// Neighbouring threads touch neighbouring addresses, so each warp's access is whole 32-byte sectors.
// Bytes per element: 2 sizeof(T) forward (one read, one write), 3 sizeof(T) backward. 1 to about 20 operations.
// Limit: memory bandwidth.
#include "common.cuh"

// NumPy: y = np.maximum(x, 0)
template <typename T>
__global__ void relu_forward(const T* x, T* y, index_t n) {
    index_t i = global_index();
    if (i < n) y[i] = x[i] > T(0) || is_nan(x[i]) ? x[i] : T(0);
}

// NumPy: dx = np.where(y <= 0, 0, dy)
template <typename T>
__global__ void relu_backward(const T* dy, const T* y, T* dx, index_t n) {
    index_t i = global_index();
    if (i >= n) return;
    T slope = dy[i];  // by all lanes: a load that waits for y would come later and save nothing, its sector is touched
    dx[i] = y[i] <= T(0) ? T(0) : slope;
}

// NumPy: y = np.where(x > 0, x, slope * x)
template <typename T>
__global__ void leaky_relu_forward(const T* x, T* y, T slope, index_t n) {
    index_t i = global_index();
    if (i < n) y[i] = x[i] > T(0) ? x[i] : slope * x[i];
}

// NumPy: dx = np.where(x > 0, dy, slope * dy)
template <typename T>
__global__ void leaky_relu_backward(const T* dy, const T* x, T* dx, T slope, index_t n) {
    index_t i = global_index();
    if (i < n) dx[i] = x[i] > T(0) ? dy[i] : slope * dy[i];
}

// NumPy: e = np.exp(-np.abs(x)); y = np.where(x >= 0, 1, e) / (1 + e)
template <typename T>
__global__ void sigmoid_forward(const T* x, T* y, index_t n) {
    index_t i = global_index();
    if (i >= n) return;
    T e = exp(-fabs(x[i]));  // never above 1
    y[i] = (x[i] >= T(0) ? T(1) : e) / (T(1) + e);
}

// NumPy: dx = dy * y * (1 - y)
template <typename T>
__global__ void sigmoid_backward(const T* dy, const T* y, T* dx, index_t n) {
    index_t i = global_index();
    if (i < n) dx[i] = dy[i] * y[i] * (T(1) - y[i]);
}

// NumPy: y = np.tanh(x)
template <typename T>
__global__ void tanh_forward(const T* x, T* y, index_t n) {
    index_t i = global_index();
    if (i < n) y[i] = tanh(x[i]);
}

// NumPy: dx = dy * (1 - y * y)
template <typename T>
__global__ void tanh_backward(const T* dy, const T* y, T* dx, index_t n) {
    index_t i = global_index();
    if (i < n) dx[i] = dy[i] * (T(1) - y[i] * y[i]);
}

// NumPy: y = np.log1p(x)
template <typename T>
__global__ void log1p_forward(const T* x, T* y, index_t n) {
    index_t i = global_index();
    if (i < n) y[i] = log1p(x[i]);
}

// NumPy: dx = dy / (1 + x)
template <typename T>
__global__ void log1p_backward(const T* dy, const T* x, T* dx, index_t n) {
    index_t i = global_index();
    if (i < n) dx[i] = dy[i] / (T(1) + x[i]);
}

// NumPy: the table and series of erf_forward in minicnn/ops/activation.py; CUDA has the function itself
template <typename T>
__global__ void erf_forward(const T* x, T* y, index_t n) {
    index_t i = global_index();
    if (i < n) y[i] = erf(x[i]);
}

// NumPy: dx = dy * (2 / math.sqrt(math.pi)) * np.exp(-x * x)
template <typename T>
__global__ void erf_backward(const T* dy, const T* x, T* dx, index_t n) {
    index_t i = global_index();
    if (i < n) dx[i] = dy[i] * T(1.1283791670955126) * exp(-x[i] * x[i]);
}
