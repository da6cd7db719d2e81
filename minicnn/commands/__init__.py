"""The commands of `minicnn`, one file each: `EXAMPLE`, `add_arguments(parser)`, `run(options) -> exit code`.

The file's docstring is what `--help` says. Heavy modules are imported inside `run`, so that `--help` answers at
once; `options.py` holds the options that several commands share.
"""
