"""Say what is installed, which devices work and what the others miss, how many threads and which vectors the
kernels use, and where the caches are. Exit code 1 if training would not work here.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from . import options as shared

EXAMPLE = "minicnn doctor --json"

NEEDED = ("numpy", "numba", "llvmlite", "matplotlib", "safetensors", "tqdm", "threadpoolctl")
OPTIONAL = {"pillow": "to read PNG and JPEG", "torch": "to run the tests", "pytest": "to run the tests"}


def version_of(package: str) -> str | None:
    """Return the version of an installed package, without importing it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Examine and report."""
    if not options.json:
        print("trying each device; the first time kernels are compiled …", file=sys.stderr)
    found = examine()
    print(json.dumps(found) if options.json else _text(found))
    return 0 if found["ready"] else 1


def examine() -> dict[str, Any]:
    """Return everything that the command reports."""
    import platform

    packages = {name: version_of(name) for name in ("minicnn", *NEEDED, *OPTIONAL)}
    devices = {name: _device(name) for name in ("reference", "cpu", "cuda", "cuda:sim")}
    return {
        "ready": devices["cpu"] == "works" and all(packages[name] for name in NEEDED),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "devices": devices,
        "kernels": _kernels(),
        "blas": _blas(),
        "caches": _caches(),
    }


def _device(name: str) -> str:
    """Return "works", or why the device does not: a small network is run forward and back on it."""
    try:
        import numpy as np

        from .. import functional as F
        from .._device import use_device
        from .._tensor import Tensor

        weight = np.random.default_rng(0).standard_normal((8, 3, 3, 3)).astype(np.float32)
        gradients = {}
        for where in ("reference", name):
            with use_device(where):
                x, w = Tensor(np.ones((2, 3, 9, 7), np.float32)), Tensor(weight, requires_grad=True)
                F.max_pool2d(F.relu(F.conv2d(x, w)), 2).sum().backward()
                gradients[where] = np.asarray(w.grad)
        if not np.allclose(gradients[name], gradients["reference"], rtol=1e-4):
            return "computes wrong gradients"
    except Exception as error:  # whatever it is, it is the answer
        return f"{error}" or type(error).__name__
    return "works"


def _kernels() -> dict[str, Any]:
    """Return what the kernels of the device `cpu` are compiled for."""
    try:
        from ..cpu import settings

        return {"vector": settings.vector(), "threads": settings.threads()}
    except Exception as error:  # a wrong setting, or no Numba
        return {"error": str(error)}


def _blas() -> list[dict[str, Any]]:
    """Return the libraries that NumPy's matrix products use."""
    try:
        import numpy  # noqa: F401 - loads its library
        import threadpoolctl
    except ImportError:
        return []
    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    return [{key: pool.get(key) for key in ("internal_api", "version", "num_threads")} for pool in pools]


def _caches() -> dict[str, Any]:
    """Return the cache folder, and how much of what is in it."""
    from ..data.cache import cache_folder

    folder = cache_folder()
    faces = len(list((folder / "orl").glob("s*/*.pgm")))
    kernels = [file for file in (folder / "kernels").rglob("*") if file.is_file()]
    return {
        "folder": str(folder),
        "writable": _is_writable(folder),
        "orl_pictures": faces,
        "kernels": len(kernels),
        "kernel_bytes": sum(file.stat().st_size for file in kernels),
    }


def _is_writable(folder: Path) -> bool:
    import tempfile

    place = next((parent for parent in (folder, *folder.parents) if parent.exists()), folder)
    try:
        tempfile.TemporaryFile(dir=place).close()
    except OSError:
        return False
    return True


def _text(found: dict[str, Any]) -> str:
    packages, kernels, caches = found["packages"], found["kernels"], found["caches"]
    lines = [f"Python {found['python']} on {found['platform']}", "", "packages"]
    for name in ("minicnn", *NEEDED):
        lines.append(f"  {name:<15}{packages[name] or 'MISSING: pip install ' + name}")
    for name, purpose in OPTIONAL.items():
        lines.append(f"  {name:<15}{packages[name] or 'not installed, needed ' + purpose}")
    lines += ["", "devices", *(f"  {name:<15}{state}" for name, state in found["devices"].items())]
    lines += ["", "kernels of the device cpu"]
    if "error" in kernels:
        lines.append(f"  {kernels['error']}")
    else:
        lines += [f"  vector         {kernels['vector']}", f"  threads        {kernels['threads']}"]
    lines += ["", "BLAS", *(f"  {b['internal_api']} {b['version']}, {b['num_threads']} threads" for b in found["blas"])]
    pictures = f"{caches['orl_pictures']} of 400" + ("" if caches["orl_pictures"] else ": `minicnn data` fetches them")
    lines += [
        "",
        f"cache {caches['folder']}" + ("" if caches["writable"] else ": CANNOT BE WRITTEN, set MINICNN_CACHE"),
        f"  ORL pictures   {pictures}",
        f"  kernels        {caches['kernels']} files, {caches['kernel_bytes'] / 1e6:.1f} MB",
        "",
        "ready to train" if found["ready"] else "NOT ready to train: see the capitals above",
    ]
    return "\n".join(lines)
