"""Writes the logs of this folder, each with the table of what is true after which byte of it: all, or those named.

    python3 -m venv v && v/bin/pip install -r requirements.txt && v/bin/python make.py [NAME …]

A name may have `*` in it. The logs of SimpleTuner's own code are written by simpletuner/paths.py.
"""

import fnmatch
import importlib
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "trainers"))

MODULES = ["tuners", "kohya", "image", "hugging_face", "fine_tuners", "pretraining", "language", "bars", "vision", "speech", "other", "collectors", "scripts"]


def main(wanted):
    plays = {}
    for module in MODULES:
        logs = importlib.import_module(module).LOGS
        assert not plays.keys() & logs.keys(), module
        plays |= logs
    for name in wanted:
        if not fnmatch.filter(plays, name):
            sys.exit(f"{name}: no such log; there are {', '.join(sorted(plays))}")
    for name, play in plays.items():
        if not wanted or any(fnmatch.fnmatch(name, pattern) for pattern in wanted):
            play.save(name)


main(sys.argv[1:])
