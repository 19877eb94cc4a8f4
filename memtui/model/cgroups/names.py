"""Names of control groups as people know them: units, containers, pods, users, machines."""

from __future__ import annotations

import re
from typing import Final

_ESCAPE: Final = re.compile(r"(?:\\x[0-9a-f]{2})+")
_CONTAINER: Final = re.compile(
    r"(?:(?P<runtime>docker|cri-containerd|crio|crio-conmon|libpod|libpod-conmon|buildkit|podman|nerdctl)"
    r"[-_])(?P<id>[0-9a-f]{4,64})(?:\.scope)?"
)
_BARE_ID: Final = re.compile(r"[0-9a-f]{64}")
_POD: Final = re.compile(
    r"(?:kubepods-?(?:burstable|besteffort|guaranteed)?-)?pod(?P<uid>[0-9a-f_-]{4,40})(?:\.slice)?"
)
_KUBEPODS: Final = re.compile(r"kubepods(?:-(?P<quality>burstable|besteffort|guaranteed))?\.slice")
_USER: Final = re.compile(r"user(?P<kind>@|-)(?P<uid>\d{1,10})\.(?P<unit>service|slice)")
_SESSION: Final = re.compile(r"session-(?P<id>[c\d]\d{0,9})\.scope")
_MACHINE: Final = re.compile(r"machine-(?P<name>.+)\.scope")
_QEMU: Final = re.compile(r"qemu-\d+-(.+)")
_RUNTIMES: Final = {"cri-containerd": "containerd", "crio": "cri-o", "libpod": "podman"}
_ID_LENGTH: Final = 12  # what the runtimes' own tools show


def readable_group(path: str) -> str:
    """What the last part of a path is, in the words of who made it: `docker 1a2b3c4d5e6f`.

    What is none of the known is only freed of systemd's escapes. Raw: to be made printable.
    """
    name = path.rstrip("/").rpartition("/")[2]
    if not name:
        return "/"
    if match := _CONTAINER.fullmatch(name):
        runtime = match["runtime"]
        return f"{_RUNTIMES.get(runtime, runtime)} {match['id'][:_ID_LENGTH]}"
    if _BARE_ID.fullmatch(name):
        above = path.rstrip("/").rpartition("/")[0].rpartition("/")[2]
        maker = above if above in ("docker", "lxc", "garden", "buildkit") else "container"
        return f"{maker} {name[:_ID_LENGTH]}"
    if match := _POD.fullmatch(name):
        # The slice's name cannot have the uid's hyphens.
        return f"pod {match['uid'].replace('_', '-')}"
    if match := _KUBEPODS.fullmatch(name):
        return f"{match['quality']} pods" if match["quality"] else "pods"
    if match := _USER.fullmatch(name):
        if match["kind"] == "@" and match["unit"] == "service":
            return f"manager of user {match['uid']}"
        return f"user {match['uid']}"
    if match := _SESSION.fullmatch(name):
        return f"session {match['id']}"
    if match := _MACHINE.fullmatch(name):
        machine = unescaped(match["name"])
        virtual = _QEMU.fullmatch(machine)
        return f"virtual machine {virtual[1]}" if virtual else f"machine {machine}"
    return unescaped(name)


def unescaped(name: str) -> str:
    """systemd's `\\x2d` as the characters they stand for."""

    def decoded(match: re.Match[str]) -> str:
        data = bytes.fromhex(match[0].replace("\\x", ""))
        return data.decode("utf-8", "surrogateescape")

    return _ESCAPE.sub(decoded, name)
