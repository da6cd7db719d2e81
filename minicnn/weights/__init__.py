"""Weights in and out of other programs' files. Nothing in a file is ever executed.

All loaders take a path or bytes and return `{name: Tensor}`, on the current device, as `Module.load_state_dict`
takes it. What is damaged, cut short, or claims more than the file holds is a `CheckpointError` with the reason.
"""

from __future__ import annotations

from .any_file import load_weights
from .dlib_file import find_dlib, load_dlib
from .dlib_landmarks_file import load_dlib_landmarks
from .npz_file import load_npz, save_npz
from .onnx_file import export_onnx
from .safetensors_file import load_safetensors, save_safetensors
from .torch_file import load_torch

__all__ = [
    "export_onnx",
    "find_dlib",
    "load_dlib",
    "load_dlib_landmarks",
    "load_npz",
    "load_safetensors",
    "load_torch",
    "load_weights",
    "save_npz",
    "save_safetensors",
]
