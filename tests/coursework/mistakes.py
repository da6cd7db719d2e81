"""Mistakes that students make, planted in right solutions: one change each, and what the grader must say of it."""

from pathlib import Path
from typing import NamedTuple

SOLUTIONS = Path(__file__).parent / "solutions"


class Mistake(NamedTuple):
    """`old` becomes `new` within an exercise's functions; then `part` is wrong, and `says` is in what is said of it."""

    exercise: str
    part: str
    old: str
    new: str
    says: str
    solution: str = "vectorised"

    @property
    def source(self) -> str:
        """The file as the student hands it in."""
        text = (SOLUTIONS / f"{self.solution}.py").read_text(encoding="utf-8")
        start = text.index(f"def {self.exercise}")
        assert text.count(self.old, start) >= 1, f"{self.old} is not in {self.exercise}"
        return text[:start] + text[start:].replace(self.old, self.new, 1)


MISTAKES = (
    Mistake("affine", "forward", "@ w + b", "@ w", "b is not added"),
    Mistake("affine", "forward", "@ w + b", "@ w / len(x) + b", "divided by the number of examples"),
    Mistake("affine", "dx", ".reshape(x.shape)", "", "shape"),
    Mistake("affine", "dw", ".T @ dout", ".T @ dout / len(x)", "1/"),
    Mistake("affine", "db", "db = dout.sum(axis=0)", "db = dout.sum(axis=1)", "shape"),
    Mistake("affine", "db", "db = dout.sum(axis=0)", "db = dout", "sum"),
    Mistake("affine", "db", "db = dout.sum(axis=0)", "db = -dout.sum(axis=0)", "sign"),
    Mistake("affine", "dx", "return dx, dw, db", "return dw, dx, db", "the order must be (dx, dw, db)"),
    Mistake("relu", "forward", "np.maximum(x, 0)", "np.abs(x)", "absolute value"),
    Mistake("relu", "forward", "np.maximum(x, 0)", "np.where(x > 0, x, 0.01 * x)", "leaky"),
    Mistake("relu", "dx", "np.where(cache > 0,", "np.where(dout > 0,", "looks at dout"),
    Mistake("relu", "dx", "dout, 0)", "1.0, 0)", "dout"),
    Mistake("relu", "dx", "dout, 0)", "dout, 0.01 * dout)", "branch"),
    Mistake("relu", "dx", "return np.where(cache > 0, dout, 0)", "dout[cache <= 0] = 0; return dout", "dout in place"),
    Mistake(
        "sigmoid",
        "forward",
        "out = np.where(x >= 0, 1, small) / (1 + small)",
        "out = np.exp(x) / (1 + np.exp(x))",
        "exp",
    ),
    Mistake("sigmoid", "forward", "x >= 0", "x < 0", "sigmoid of -x"),
    Mistake("sigmoid", "dx", "dout * cache * (1 - cache)", "dout * cache", "a factor is missing"),
    Mistake("sigmoid", "dx", "dout * cache * (1 - cache)", "cache * (1 - cache)", "dout"),
    Mistake("sigmoid", "dx", "return out, out", "return out, x", "cause"),
    Mistake("sigmoid", "dx", "dout * cache * (1 - cache)", "2 * dout * cache * (1 - cache)", "2"),
    Mistake("softmax_loss", "forward", ".mean()", ".sum()", "a sum over the examples, needs their mean"),
    Mistake("softmax_loss", "forward", "loss = -log_p", "loss = log_p", "the sign"),
    Mistake("softmax_loss", "forward", "shifted = x - x.max(axis=1, keepdims=True)", "shifted = x", "overflow"),
    Mistake("softmax_loss", "dx", "    dx[np.arange(n), y] -= 1\n", "", "1 is not subtracted at the right classes"),
    Mistake("softmax_loss", "dx", "loss, dx / n", "loss, dx", "not divided by the number of examples"),
    Mistake("softmax_loss", "dx", "loss, dx / n", "loss, -dx / n", "sign"),
    Mistake("softmax_loss", "dx", "dx[np.arange(n), y]", "dx[:, y]", "backward says"),
    Mistake("conv_naive", "forward", " + b[f]", "", "b is not added", "loops"),
    Mistake("conv_naive", "forward", "* w[f])", "* w[f, :, ::-1, ::-1])", "flip", "loops"),
    Mistake(
        "conv_naive",
        "forward",
        "padded[n, :, i * s : i * s + hh, j * s : j * s + ww]",
        "padded[n, :, i : i + hh, j : j + ww]",
        "stride is ignored",
        "loops",
    ),
    Mistake(
        "conv_naive", "dx", "dpadded[n, :, rows, columns] +=", "dpadded[n, :, rows, columns] =", "overwritten", "loops"
    ),
    Mistake(
        "conv_naive",
        "dx",
        "dpadded[:, :, p : padded.shape[2] - p, p : padded.shape[3] - p]",
        "dpadded",
        "shape",
        "loops",
    ),
    Mistake("conv_naive", "db", "db[f] +=", "db[f] =", "overwritten", "loops"),
    Mistake("conv_naive", "dw", "dw[f] += dout[n, f, i, j] *", "dw[f] +=", "dout", "loops"),
    Mistake(
        "conv_naive",
        "dw",
        "dw[f] += dout[n, f, i, j] * padded",
        "dw[f] += dout[n, f, j % dout.shape[2], i % dout.shape[3]] * padded",
        "backward says",
        "loops",
    ),
    Mistake(
        "conv_im2col",
        "forward",
        "reshape(len(x), oh, ow, len(w)).transpose(0, 3, 1, 2)",
        "reshape(len(x), len(w), oh, ow)",
        "order of axes",
    ),
    Mistake(
        "conv_im2col", "dx", "dout.transpose(0, 2, 3, 1).reshape(-1, f)", "dout.reshape(-1, f)", "transpose(0, 2, 3, 1)"
    ),
    Mistake("conv_im2col", "dx", "+= dcolumns", "= dcolumns", "overwritten"),
    Mistake("conv_im2col", "db", "rows.sum(axis=0)", "rows.mean(axis=0)", "mean"),
    Mistake(
        "conv_im2col",
        "dx",
        "dpadded[:, :, p : p + x.shape[2], p : p + x.shape[3]]",
        "dpadded[:, :, : x.shape[2], : x.shape[3]]",
        "shifted",
    ),
    Mistake(
        "conv_im2col",
        "dw",
        "(rows.T @ columns).reshape(w.shape)",
        "(columns.T @ rows).reshape(w.shape)",
        "backward says",
    ),
    Mistake("max_pool", "forward", "flat.max(axis=-1)", "flat.mean(axis=-1)", "mean of each window"),
    Mistake(
        "max_pool",
        "forward",
        "numpy.full((x.shape[0], x.shape[1], oh, ow), -numpy.inf)",
        "numpy.zeros((x.shape[0], x.shape[1], oh, ow))",
        "start from -inf",
        "loops",
    ),
    Mistake(
        "max_pool",
        "dx",
        'np.add.at(dx, (n, c, p * pool_param["stride"] + i, q * pool_param["stride"] + j), dout)',
        'dx[n, c, p * pool_param["stride"] + i, q * pool_param["stride"] + j] = dout',
        "overwritten",
    ),
    Mistake("max_pool", "dx", " / winners.sum()", "", "tied", "loops"),
    Mistake("max_pool", "dx", "dout[n, c, i, j] * winners", "winners", "dout", "loops"),
    Mistake(
        "max_pool",
        "dx",
        "winners = window == window.max()",
        "winners = window == window.min()",
        "backward says",
        "loops",
    ),
    Mistake(
        "average_pool", "forward", ".mean(axis=(-2, -1))", ".sum(axis=(-2, -1))", "sum of each window, needs the mean"
    ),
    Mistake("average_pool", "forward", ".mean(axis=(-2, -1))", ".max(axis=(-2, -1))", "maximum of each window"),
    Mistake("average_pool", "dx", "dout / (ph * pw)", "dout", "a sum where a mean is right"),
    Mistake("average_pool", "dx", "+= dout", "= dout", "overwritten"),
    Mistake("average_pool", "dx", "dout / (ph * pw)", "dout / ph", "factor"),
    Mistake(
        "average_pool",
        "dx",
        "i : i + s * oh : s, j : j + s * ow : s",
        "j : j + s * oh : s, i : i + s * ow : s",
        "raised",
    ),
    Mistake("batch_norm", "forward (train)", "x.var(axis=0)", "x.var(axis=0, ddof=1)", "N - 1"),
    Mistake("batch_norm", "forward (test)", '"test"', '"never"', "the batch's own statistics are used"),
    Mistake("batch_norm", "running statistics", "(1 - m) * mu", "m * mu", "running_mean"),
    Mistake(
        "batch_norm",
        "running statistics",
        'm * bn_param["running_mean"] + (1 - m) * mu',
        '(1 - m) * bn_param["running_mean"] + m * mu',
        "changed places",
    ),
    Mistake(
        "batch_norm",
        "running statistics",
        '        bn_param["running_var"] = m * bn_param["running_var"] + (1 - m) * var\n',
        "",
        "is not updated",
    ),
    Mistake(
        "batch_norm",
        "forward (train)",
        '1 / np.sqrt(var + bn_param["eps"])',
        '1 / (np.sqrt(var) + bn_param["eps"])',
        "eps is added to the standard deviation",
    ),
    Mistake(
        "batch_norm", "dx", " - x_hat * (dx_hat * x_hat).mean(axis=0)", "", "the way through the variance is missing"
    ),
    Mistake("batch_norm", "dx", " - dx_hat.mean(axis=0)", "", "the way through the mean is missing"),
    Mistake(
        "batch_norm",
        "dx",
        "inverse * (dx_hat - dx_hat.mean(axis=0) - x_hat * (dx_hat * x_hat).mean(axis=0))",
        "inverse * dx_hat",
        "mean and variance are missing",
    ),
    Mistake("batch_norm", "dgamma", "(dout * x_hat).sum", "dout.sum", "dbeta"),
    Mistake("batch_norm", "dbeta", "dbeta = dout.sum(axis=0)", "dbeta = dout.mean(axis=0)", "mean"),
    Mistake("dropout", "forward (train)", " / (1 - p)", "", "divided by 1 - p"),
    Mistake("dropout", "forward (train)", 'dropout_param["uniform"]', "np.random.rand(*x.shape)", "draw none"),
    Mistake(
        "dropout",
        "forward (test)",
        "return x, np.ones(x.shape)",
        "return x * (1 - p), np.ones(x.shape)",
        "in mode test nothing changes",
    ),
    Mistake("dropout", "dx", "return dout * cache", "return dout", "the mask is left out"),
    Mistake("dropout", "dx", "return dout * cache", "return dout * (cache > 0)", "the division by 1 - p is missing"),
    Mistake("dropout", "dx", "return dout * cache", "return dout * (cache == 0)", "backward says"),
    Mistake("residual_block", "forward", "total = second + x", "total = second", "shortcut is missing"),
    Mistake("residual_block", "forward", "np.maximum(total, 0), (", "total, (", "last ReLU is missing"),
    Mistake("residual_block", "dx", "return dx + dtotal", "return dx", "shortcut's share of the gradient is missing"),
    Mistake("residual_block", "dx", "return dx + dtotal", "return dx + dout", "needs dout masked by the last ReLU"),
    Mistake("residual_block", "dw1", "dmiddle * (first > 0)", "dmiddle", "not masked by the ReLU in the middle"),
    Mistake("residual_block", "dw1", "dw1, db1, dw2, db2\n\n\ndef window", "dw2, db1, dw1, db2\n\n\ndef window", "dw2"),
    Mistake("lrn", "forward", "alpha / size * window_sum", "alpha * window_sum", "alpha is not divided by size"),
    Mistake("lrn", "forward", "x * s**-beta", "x / s", "beta is left out"),
    Mistake("lrn", "dx", " - 2 * alpha * beta / size * x * shared", "", "the way through the sums s is missing"),
    Mistake("lrn", "dx", " - 2 * alpha", " - alpha", "lacks the 2"),
    Mistake("lrn", "dx", " - 2 * alpha", " + 2 * alpha", "backward says"),
    Mistake("lrn", "dx", "dout * s**-beta - 2", "-2", "the direct way is missing"),
)
