"""The committed table of what the kernels take on two GPUs: registers of a thread and shared bytes of a block.

python -m tests.cuda.resources      # writes resources.txt anew, for a kernel that is new or changed on purpose
"""

from pathlib import Path

from minicnn.cuda import nvrtc, source

TABLE = Path(__file__).with_name("resources.txt")
ARCHITECTURES = ("sm_80", "sm_90")
FAMILIES = sorted(path.stem for path in source.shipped().glob("*.cu"))


def measured(family: str, architecture: str) -> dict[str, tuple[int, int]]:
    found = nvrtc.compile_kernels(source.read(family), architecture).resources
    return {kernel: (r.registers, r.shared) for kernel, r in found.items()}


def committed() -> dict[tuple[str, str], tuple[int, int]]:
    """Return registers and shared bytes by kernel and architecture."""
    table = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            kernel, *numbers = line.split()
            for k, architecture in enumerate(ARCHITECTURES):
                table[kernel, architecture] = (int(numbers[2 * k]), int(numbers[2 * k + 1]))
    return table


def main() -> None:
    lines = [f"# {'kernel':40}" + "".join(f"{a + ': registers':>18} {'shared':>8}" for a in ARCHITECTURES)]
    for family in FAMILIES:
        columns = [measured(family, a) for a in ARCHITECTURES]
        for kernel in sorted(columns[0]):
            lines.append(f"{kernel:42}" + "".join(f"{c[kernel][0]:18} {c[kernel][1]:8}" for c in columns))
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
