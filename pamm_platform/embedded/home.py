"""Where the servers' files live and as whom the servers run.

PostgreSQL refuses to run as root. Under root both servers therefore run as `nobody`, from a folder outside
the checkout (which may sit under a 0700 /root that `nobody` cannot enter); no permission of an existing
folder is changed. For an ordinary user everything stays inside the run folder.
"""

import hashlib
import os
import pwd
import shutil
import stat
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypedDict

import psutil

MEMORY_FOLDER = Path("/dev/shm")
MEMORY_NEEDED = 5 * 2**30
IN_MEMORY_FILE = "in-memory"

# Longest path of a unix socket: 103 bytes on macOS, 107 on Linux.
SOCKET_PATH_BYTES = 103


class SpawnIdentity(TypedDict, total=False):
    """The part of `subprocess` arguments that decides as whom a child runs."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Home:
    """Folder (0700, owned by the account the servers run as) that holds data, sockets and logs."""

    folder: Path
    uid: int
    gid: int

    @property
    def is_foreign(self) -> bool:
        """Whether the servers run as somebody other than this process."""
        return self.uid != os.geteuid()

    def spawn_identity(self) -> SpawnIdentity:
        if not self.is_foreign:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def environment(self) -> dict[str, str]:
        """Environment of the servers: nothing inherited, so no PGPORT or LC_ALL of the caller leaks in."""
        return {"HOME": str(self.folder), "PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

    def subfolder(self, name: str) -> Path:
        folder = self.folder / name
        make_private_folder(folder, self.uid, self.gid)
        return folder

    def write_secret(self, name: str, text: str) -> Path:
        """Write a file only the servers' account can read; replaces an earlier one."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        if self.is_foreign:
            os.chown(path, self.uid, self.gid)
        return path

    def open_log(self, name: str) -> IO[Any]:
        return (self.folder / name).open("ab")

    def socket_folder(self) -> Path:
        """0700 folder for unix sockets, in the home unless that path is too long for a socket."""
        folder = self.folder / "socket"
        if len(os.fsencode(folder / ".s.PGSQL.5432.lock")) > SOCKET_PATH_BYTES:
            digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
            folder = Path("/tmp") / f"pamm-{self.uid}-{digest}"
        make_private_folder(folder, self.uid, self.gid)
        return folder

    def erase(self) -> None:
        shutil.rmtree(self.socket_folder(), ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def home_for(run_folder: Path) -> Home:
    """The home that belongs to a run folder; made if missing."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        nobody = pwd.getpwnam("nobody")
        uid, gid = nobody.pw_uid, nobody.pw_gid
    folder = _folder_of(run_folder, uid)
    make_private_folder(folder, uid, gid)
    return Home(folder, uid, gid)


def is_in_memory(run_folder: Path) -> bool:
    """Whether the files of its servers are in memory, and gone when the machine starts anew."""
    return (run_folder / IN_MEMORY_FILE).exists()


def keep_in_memory(run_folder: Path) -> None:
    """Have a run folder's files in memory, where there is room and none of them is on disk yet.

    A file system that avoids the numbers of files deleted a moment ago searches for each new one among them:
    databases that come and go by the hundred, with hundreds of files each, take ten times as long on it.
    """
    if is_in_memory(run_folder) or not MEMORY_FOLDER.is_dir():
        return
    uid = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
    room = min(shutil.disk_usage(MEMORY_FOLDER).free, psutil.virtual_memory().available)
    if room >= MEMORY_NEEDED and not _folder_of(run_folder, uid).exists():
        (run_folder / IN_MEMORY_FILE).touch()


def _folder_of(run_folder: Path, uid: int) -> Path:
    digest = hashlib.sha256(os.fsencode(run_folder.resolve())).hexdigest()[:12]
    if is_in_memory(run_folder):
        return MEMORY_FOLDER / f"pamm-{uid}-{digest}"
    return shared_folder() / digest if os.geteuid() == 0 else run_folder / "home"


def shared_folder() -> Path:
    """Root only: folder outside every checkout that any user may enter and only root may write."""
    base = Path("/var/lib") if Path("/var/lib").is_dir() else Path("/var/tmp")
    folder = base / "pamm-embedded"
    folder.mkdir(mode=0o755, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
        raise RuntimeError(
            f"{folder} exists and is not a folder only root can write; remove it and start again"
        )
    return folder


def reachable_copy(tree: Path, *, siblings: tuple[str, ...] = (), version: str, home: Home) -> Path:
    """`tree` itself, or under root a copy of it (with `siblings` beside it) that the servers' account can
    read.

    The copy belongs to root, so the servers cannot change their own binaries. It is made once per version and
    appears under its final name only when complete.
    """
    if not home.is_foreign:
        return tree
    target = shared_folder() / f"{tree.name}-{version}"
    if not target.exists():
        partial = Path(tempfile.mkdtemp(dir=shared_folder()))
        for name in (tree.name, *siblings):
            source = tree.parent / name
            if source.is_dir():
                shutil.copytree(
                    source, partial / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
                )
        for path in (partial, *partial.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        try:
            partial.rename(target)
        except OSError:  # another start finished the same copy first
            shutil.rmtree(partial)
    return target / tree.name


def make_private_folder(folder: Path, uid: int, gid: int) -> None:
    """Make a 0700 folder owned by `uid`; refuse one that is somebody else's or a link.

    Raises RuntimeError when the path exists and is not such a folder.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        if uid != os.geteuid():
            os.chown(folder, uid, gid)
    except FileExistsError:
        pass
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o077:
        raise RuntimeError(
            f"{folder} exists and is not a private folder of user {uid}; remove it and start again"
        )


def ends_within(process: psutil.Process, seconds: float) -> bool:
    """Whether a process ends in that time, whoever started it.

    psutil's own wait sees a process of another parent only once that parent has taken note of its end: until
    then it is a zombie, which has nothing open and runs nothing.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            # Of a child of ours this takes note, so that no zombie stays.
            process.wait(0)
            return True
        except psutil.NoSuchProcess:
            return True
        except psutil.TimeoutExpired:
            if _is_zombie(process):
                return True
        time.sleep(0.05)
    return False


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
