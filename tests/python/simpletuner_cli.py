"""SimpleTuner's own command line as its package has it, without what only training and its web server need.

The packages of its server are left unexecuted, so that what of them the command line takes is imported as it
is, and nothing else; of PyTorch it only asks whether it is there.
"""

import importlib.machinery
import os
import sys
import types

os.environ.setdefault("SIMPLETUNER_SKIP_TORCH", "1")
os.environ.setdefault("SIMPLETUNER_DISABLE_COLORS", "1")


def module(name, **attributes):
    """A module that holds just this."""
    made = types.ModuleType(name)
    made.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
    vars(made).update(attributes)
    sys.modules[name] = made
    return made


def never():
    return False


module(
    "torch",
    __version__="0",
    cuda=types.SimpleNamespace(is_available=never, device_count=lambda: 0),
    distributed=types.SimpleNamespace(is_available=never, is_initialized=never),
    backends=types.SimpleNamespace(mps=types.SimpleNamespace(is_available=never)),
)

import simpletuner  # noqa: E402

server = os.path.join(os.path.dirname(simpletuner.__file__), "simpletuner_sdk", "server")
for package in ["", "utils", "services", "services/cloud", "services/cloud/storage"]:
    parts = filter(None, package.split("/"))
    name = ".".join(["simpletuner.simpletuner_sdk.server", *parts])
    module(name, __path__=[os.path.join(server, package)])

from simpletuner.cli import main  # noqa: E402

sys.exit(main())
