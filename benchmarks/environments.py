"""The peers' virtual environments: one each, built once from pinned requirements."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import HERE, FailedError
from benchmarks.report import say

PEERS = HERE / "peers"
ENVIRONMENTS = HERE / ".envs"
#: A peer that takes longer than this to install is left out, and the results say so.
INSTALL_SECONDS = 300.0


def environment(peer: str) -> Path:
    """The peer's Python, in an environment that holds what its requirements say.

    Raises:
        FailedError: It cannot be installed in reasonable time.
    """
    requirements = PEERS / peer / "requirements.txt"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    folder = ENVIRONMENTS / peer
    stamp, interpreter = folder / "built", folder / "bin" / "python"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return interpreter
    say(f"installing {peer} into {folder.relative_to(HERE.parent)}")
    shutil.rmtree(folder, ignore_errors=True)
    install = [str(interpreter), "-m", "pip", "install", "--quiet", "-r", str(requirements)]
    try:
        for command in ([sys.executable, "-m", "venv", str(folder)], install):
            subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        message = f"not installed within {INSTALL_SECONDS:.0f} s"
        raise FailedError(message) from None
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
        message = f"not installed: {''.join(last)[:200]}"
        raise FailedError(message) from error
    stamp.write_text(wanted, encoding="utf-8")
    return interpreter
