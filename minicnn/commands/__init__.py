"""The commands of `minicnn`, one file each: `EXAMPLE`, `add_arguments(parser)`, `run(options) -> exit code`.

Heavy modules are imported inside `run`, so that `minicnn --help` answers at once.
"""
