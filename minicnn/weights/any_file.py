"""`load_weights`: a file of weights of whatever format."""

from __future__ import annotations

import os
from typing import Any

from .._tensor import Tensor
from ..errors import CheckpointError
from .dlib_file import load_dlib
from .files import checked_path
from .npz_file import load_npz
from .safetensors_file import load_safetensors
from .torch_file import load_torch

_AROUND = ("state_dict", "model_state_dict", "model")  # where a checkpoint of PyTorch users keeps its state dict


def load_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Return the state dict in a file: .pth or .pt, .safetensors, .npz, .dat (dlib) or .mc (`mc.save`).

    Where a file holds more, the state dict is looked for under the names state_dict, model_state_dict and model.
    A `module.` before every name, which PyTorch's DataParallel leaves there, is taken off.
    Raises CheckpointError for another ending, what the loader of the format raises, and when there is no state dict.
    """
    where = checked_path("load_weights", path)
    ending = where.suffix.lower()
    if ending in (".pth", ".pt"):
        found = load_torch(where)
    elif ending == ".safetensors":
        found = load_safetensors(where)
    elif ending == ".npz":
        found = load_npz(where)
    elif ending == ".dat":
        found = load_dlib(where)
    elif ending == ".mc":
        from ..checkpoint import load

        found = load(where)
    else:
        raise CheckpointError(
            f"load_weights: {where} ends in {ending or 'nothing'}, needs .pth, .pt, .safetensors, .npz, .dat or .mc"
        )
    return _state_dict(f"load_weights: {where}", found)


def _state_dict(where: str, found: Any) -> dict[str, Tensor]:
    for name in ("", *_AROUND):
        state = found if not name else found.get(name) if isinstance(found, dict) else None
        if isinstance(state, dict) and state and all(isinstance(value, Tensor) for value in state.values()):
            if not all(isinstance(key, str) for key in state):
                raise CheckpointError(f"{where}: a name in its state dict is no text")
            if all(key.startswith("module.") for key in state):
                state = {key.removeprefix("module."): value for key, value in state.items()}
            return state
    if isinstance(found, dict):  # a key may be a text of any length, or a number of too many digits to be written
        keys = [repr(key[:40]) if isinstance(key, str) else f"a {type(key).__name__}" for key in list(found)[:5]]
        what = f"a dict of {', '.join(keys) or 'nothing'}"
    else:
        what = f"a {type(found).__name__}"
    raise CheckpointError(f"{where} holds no state dict, but {what}")
