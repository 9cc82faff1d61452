"""The image that the Containerfile makes, built without a container engine and run with what a kernel has.

buildah builds it, in a chroot, over the Debian that `.ci/run` puts into `.ci/base`. It is run by `unshare`
and `chroot`, as an engine would with --read-only, --tmpfs /tmp and a volume at /data.
"""

import json
import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
BASE = ROOT / ".ci" / "base"
PROGRAMS = ("buildah", "unshare", "chroot")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_ENTER = """
set -e
root=$1 data=$2 user=$3 folder=$4; shift 4
mount --bind "$root" "$root"
mount --bind "$data" "$root/data"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user:$user" "$root" /usr/bin/setpriv --no-new-privs /usr/bin/env -C "$folder" "$@"
"""


@dataclass
class Image:
    """An image, and its files."""

    config: dict[str, Any]
    files: Path

    def command(self, data: Path, *words: str, **settings: str) -> list[str]:
        """What runs a command in it: with a root that is read-only, a volume, and no way to more rights."""
        user, folder = self.config["User"], self.config["WorkingDir"]
        place = ["unshare", "--mount", "sh", "-c", _ENTER, "sh", str(self.files), str(data), user, folder]
        variables = [*self.config["Env"], *(f"{name}={value}" for name, value in settings.items())]
        return [*place, "/usr/bin/env", "-i", *variables, *words]


def _buildah(store: Path, *words: str) -> str:
    """Call buildah, with a store of its own; returns what it prints."""
    places = ["--root", str(store / "root"), "--runroot", str(store / "run"), "--storage-driver", "vfs"]
    done = subprocess.run([PROGRAMS[0], *places, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout.strip()


def _missing() -> str | None:
    """Why no image can be built here."""
    for program in PROGRAMS:
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if os.geteuid() != 0:
        return "building in a chroot needs root"
    if not (BASE / "usr").is_dir():
        return "there is no Debian in .ci/base (.ci/run makes it, by debootstrap)"
    try:
        socket.getaddrinfo("deb.debian.org", 80)
    except OSError:
        return "there is no network"
    if subprocess.run([PROGRAMS[1], "--mount", "true"], capture_output=True, check=False).returncode:
        return "this machine makes no mount namespaces"
    return None


def build(store: Path) -> Image:
    """Build the image.

    Raises:
        AssertionError: if that fails.
    """
    if (why := _missing()) is not None:
        pytest.skip(f"SKIPPED LOUDLY: {why}")
    container = _buildah(store, "from", "scratch")
    _buildah(store, "add", "--quiet", container, str(BASE), "/")
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    _buildah(store, "config", "--env", path, container)
    _buildah(store, "commit", "--rm", "--quiet", container, "base")
    options = ["--isolation", "chroot", "--format", "docker", "--build-arg", "BASE=localhost/base"]
    options += ["--build-arg", "OFFICE="]  # the small image: LibreOffice has tests of its own
    for path in (AUTHORITIES, Path("/etc/pip.conf")):
        if path.exists():
            options += ["--volume", f"{path}:{path}:ro"]
    _buildah(store, "build", *options, "--tag", "docpipe", str(ROOT))
    config = json.loads(_buildah(store, "inspect", "--type", "image", "docpipe"))["Docker"]["config"]
    container = _buildah(store, "from", "docpipe")
    return Image(config, Path(_buildah(store, "mount", container)))
