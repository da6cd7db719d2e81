"""Every error that minicnn raises on purpose.

A message names the operation, the argument, what came and what is needed, in this order:

    conv2d: input has 3 channels, weight (8, 4, 3, 3) with groups=1 needs 4

The classes that have a counterpart among Python's own errors are also that error, so that
`except ValueError` catches a wrong shape.
"""


class MinicnnError(Exception):
    """The base of all errors raised by minicnn."""


class ShapeError(MinicnnError, ValueError):
    """A shape, size, axis or other value of an argument does not fit."""


class DTypeError(MinicnnError, TypeError):
    """The type of an argument, or of the numbers in it, does not fit."""


class DeviceError(MinicnnError):
    """A device is unknown, unavailable, or differs between arguments."""


class DataError(MinicnnError):
    """A data set or picture is missing, damaged, or not what it claims to be."""


class CheckpointError(MinicnnError):
    """A file of weights or a checkpoint is damaged, hostile, or does not fit the model."""


class NumericsError(MinicnnError, ArithmeticError):
    """A NaN or an infinity appeared where training cannot go on."""


class GradientError(MinicnnError, RuntimeError):
    """The backward pass was asked for something that the tape cannot give."""
