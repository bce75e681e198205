"""A process in a cgroup of its own with a limit on its memory, and what it used: cgroups of version 1
or 2, or none where none can be made."""

import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path

V1 = Path("/sys/fs/cgroup/memory")
V2 = Path("/sys/fs/cgroup")


class Group:
    """A cgroup for one process; `limit` in bytes, swap not counted in because it gets none."""

    def __init__(self, limit=None):
        self.path = None
        if (V1 / "memory.limit_in_bytes").exists():
            root, self.files = V1, ("memory.limit_in_bytes", "memory.max_usage_in_bytes")
        elif (V2 / "cgroup.controllers").exists() and "memory" in (V2 / "cgroup.controllers").read_text().split():
            root, self.files = V2, ("memory.max", "memory.peak")
        else:
            self.why = "no memory controller is mounted"
            return
        path = root / f"hexapla-{os.getpid()}"
        try:
            if root == V2:
                (root / "cgroup.subtree_control").write_text("+memory")
            path.mkdir(exist_ok=True)
            if limit is not None:
                (path / self.files[0]).write_text(str(limit))
                self.without_swap(path, limit)
        except OSError as error:
            self.why = f"{path}: {error.strerror}"
            return
        self.path, self.v2 = path, root == V2

    @staticmethod
    def without_swap(path, limit):
        for name, value in [("memory.memsw.limit_in_bytes", limit), ("memory.swap.max", 0), ("memory.swappiness", 0)]:
            try:
                (path / name).write_text(str(value))
            except OSError:
                pass  # this kernel does not count swap

    def enter(self):
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def fields(self, name):
        lines = (self.path / name).read_text().splitlines()
        return {k: int(v) for k, v in (line.split() for line in lines if len(line.split()) == 2)}

    def anon(self):
        stat = self.fields("memory.stat")
        return stat["anon"] + stat.get("shmem", 0) if self.v2 else stat["total_rss"] + stat.get("total_shmem", 0)

    def peak(self):
        try:
            return int((self.path / self.files[1]).read_text())
        except OSError:
            return None  # memory.peak came with Linux 5.19

    def kills(self):
        return self.fields("memory.events" if self.v2 else "memory.oom_control").get("oom_kill", 0)

    def remove(self):
        for _ in range(50):
            try:
                self.path.rmdir()
                return
            except OSError:
                time.sleep(0.1)


class Run:
    """One call of a command, by itself in a cgroup: `code`, `seconds`, `cpu`, `rss` (the most that
    was resident, pages of files included), and of the cgroup `peak` (page cache included), `anon`
    (the most of its own, sampled) and `kills`. Without a cgroup `why` says so, and `anon` is of the
    process."""

    def __init__(self, command, limit=None, env=None, cwd=None, stop=None):
        group = Group(limit)
        self.why = None if group.path else group.why
        self.anon, self.peak, self.kills = 0, None, 0
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as words:
            start = time.perf_counter()
            child = subprocess.Popen(
                command, stdout=out, stderr=words, env=env, cwd=cwd, preexec_fn=group.enter if group.path else None
            )
            ended = threading.Event()
            sampler = threading.Thread(target=self.sample, args=(group, child.pid, ended))
            sampler.start()
            if stop is not None:
                threading.Thread(target=stop, args=(child, ended), daemon=True).start()
            _, status, usage = os.wait4(child.pid, 0)
            self.seconds = time.perf_counter() - start
            child.returncode = self.code = os.waitstatus_to_exitcode(status)
            ended.set()
            sampler.join()
            out.seek(0)
            words.seek(0)
            self.stdout = out.read().decode("utf-8", "replace")
            self.stderr = words.read().decode("utf-8", "replace")
        self.cpu = usage.ru_utime + usage.ru_stime
        # Linux counts in KiB.
        self.rss = usage.ru_maxrss * 1024
        if group.path:
            self.peak, self.kills = group.peak(), group.kills()
            group.remove()

    def sample(self, group, pid, ended):
        while not ended.wait(0.02):
            try:
                self.anon = max(self.anon, group.anon() if group.path else anon_of(pid))
            except (OSError, KeyError):
                pass  # it has just ended


def anon_of(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0
