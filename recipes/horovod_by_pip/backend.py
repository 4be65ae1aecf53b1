"""Lets pip build Horovod by `recipes/install_horovod.sh`.

A plain `pip install horovod` ends in a long trace with the TensorFlow of
today. The extra `horovod` of this project leads here instead: the build is
the script's, and where it cannot be done pip shows what is missing.
"""

import os
import pathlib
import subprocess
import sys

VERSION = "0.28.1"
SCRIPT = pathlib.Path(__file__).parents[1] / "install_horovod.sh"
METADATA = f"""\
Metadata-Version: 2.1
Name: horovod
Version: {VERSION}
Requires-Dist: cloudpickle
Requires-Dist: psutil
Requires-Dist: pyyaml
Requires-Dist: packaging
"""
HELP = f"""
Horovod is compiled against the TensorFlow that is installed, so `pip install
".[horovod]"` can only follow `pip install .`. Or, with the same result:

    pip install . && bash {SCRIPT}
"""


def _script(*arguments):
    # pip hides the environment's packages from a build by PYTHONPATH.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment.setdefault("PYTHON", sys.executable)
    if subprocess.run(["bash", SCRIPT, *arguments], env=environment).returncode:
        sys.exit(HELP)


def get_requires_for_build_wheel(config_settings=None):
    _script("--check")
    return []


def prepare_metadata_for_build_wheel(directory, config_settings=None):
    name = f"horovod-{VERSION}.dist-info"
    folder = pathlib.Path(directory) / name
    folder.mkdir()
    (folder / "METADATA").write_text(METADATA)
    return name


def build_wheel(directory, config_settings=None, metadata_directory=None):
    _script("--wheel", directory)
    return next(pathlib.Path(directory).glob(f"horovod-{VERSION}-*.whl")).name


def build_sdist(directory, config_settings=None):
    raise NotImplementedError(f"Horovod's own source is on PyPI.\n{HELP}")
