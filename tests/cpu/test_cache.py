"""Compiled kernels: kept for the next process, and never used for other sources."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import minicnn
from minicnn.cpu import cache

PROGRAM = """
import numpy as np
from minicnn.cpu import vectors
from minicnn.cpu.threads import kernel
@kernel
def double(first, end, x, out):
    vectors.vstore(out, 0, vectors.vload(x, 0) + vectors.vload(x, 0))
x, out = np.full(64, 3, np.float32), np.empty(64, np.float32)
double(1, x, out)
print(out[0])
"""


def run(program: str, folder: Path, root: Path | None = None) -> subprocess.CompletedProcess[str]:
    root = root or Path(minicnn.__file__).parents[1]
    environment = {**os.environ, "MINICNN_CACHE": str(folder), "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, timeout=300)


def files(folder: Path) -> dict[Path, int]:
    return {f: f.stat().st_mtime_ns for f in folder.rglob("*") if f.is_file()}


def test_second_process_compiles_nothing(tmp_path):
    first = run(PROGRAM, tmp_path / "cache")
    assert first.stdout.startswith("6.0"), first.stderr
    written = files(tmp_path / "cache")
    assert any(f.name.startswith("__main__.double-") for f in written)
    assert run(PROGRAM, tmp_path / "cache").stdout.startswith("6.0")
    assert files(tmp_path / "cache") == written


def test_an_edited_source_never_runs_from_the_old_cache(tmp_path):
    """Also one that only other files import, with size and time unchanged."""
    root = tmp_path / "root"
    shutil.copytree(Path(minicnn.__file__).parent, root / "minicnn")
    assert run(PROGRAM, tmp_path / "cache", root).stdout.startswith("6.0")
    source = root / "minicnn" / "cpu" / "vectors.py"
    old, stat = source.read_text(), source.stat()
    new = old.replace(
        "_define(operator.add, lambda builder, a, b: builder.fadd(",
        "_define(operator.add, lambda builder, a, b: builder.fmul(",
    )
    assert new != old
    assert len(new) == len(old)
    source.write_text(new)
    os.utime(source, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    shutil.rmtree(root / "minicnn" / "cpu" / "__pycache__", ignore_errors=True)
    assert run(PROGRAM, tmp_path / "cache", root).stdout.startswith("9.0")


def test_the_key_depends_on_every_source(tmp_path):
    package = Path(cache.__file__).parent
    for source in package.glob("*.py"):
        copy = tmp_path / source.stem
        shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
        assert cache.key(copy) == cache.key()
        (copy / source.name).write_text(source.read_text() + "\n")
        assert cache.key(copy) != cache.key()


def test_without_a_writable_folder_it_still_computes(tmp_path):
    (tmp_path / "file").write_text("")
    done = run(PROGRAM, tmp_path / "file" / "cache")
    assert done.stdout.startswith("6.0"), done.stderr
    assert "compiled kernels cannot be kept in" in done.stderr


def test_a_damaged_file_is_compiled_again(tmp_path):
    assert run(PROGRAM, tmp_path / "cache").stdout.startswith("6.0")
    for file in files(tmp_path / "cache"):
        file.write_bytes(file.read_bytes()[:100])
    assert run(PROGRAM, tmp_path / "cache").stdout.startswith("6.0")


def test_importing_minicnn_does_not_import_numba():
    program = (
        "import sys, minicnn; print([m for m in ('numba', 'llvmlite', 'minicnn.cpu.threads') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.full
@pytest.mark.parametrize("vector", ["avx512", "avx2", "neon", "scalar"])
def test_every_vector_width(vector):
    """The tests of the kernels once more, compiled for other registers (LLVM emulates what the host lacks)."""
    environment = {**os.environ, "MINICNN_VECTOR": vector}
    families = ("activation", "conv", "dropout", "elementwise", "loss", "matmul", "norm", "optim", "pool", "vectors")
    names = [f"test_{family}.py" for family in families]
    tests = [Path(__file__).with_name(name) for name in names]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--full", *tests]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stdout[-3000:]
