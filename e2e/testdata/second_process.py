"""Kill brs-exec, stop its second process at a random moment after that, and look for keys in it."""
import os, random, re, signal, sys, time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
parent = os.getppid()


def text(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as f:
            return f.read()
    except OSError:
        return b""


def second():
    end = time.time() + 20
    while time.time() < end:
        for pid in os.listdir("/proc"):
            if pid.isdigit() and text(pid, "cmdline").startswith(b"sigprobe"):
                if re.search(rb"\nPPid:\t%d\n" % parent, text(pid, "status")):
                    return int(pid)
    sys.exit("no second process")


def memory(pid):
    """All that can be read of it, as a debugger would."""
    found = []
    try:
        mem = open(f"/proc/{pid}/mem", "rb", 0)
    except OSError:
        return b""
    for line in text(pid, "maps").decode().splitlines():
        first, last = (int(x, 16) for x in line.split()[0].split("-"))
        try:
            mem.seek(first)
            found.append(mem.read(min(last - first, 1 << 24)))
        except (OSError, ValueError, OverflowError):
            pass
    return b"".join(found)


with open(sys.argv[1], "rb") as f:
    needles = f.read().split()
pid = second()
delay = random.random() * 0.003
os.kill(parent, signal.SIGKILL)
end = time.perf_counter() + delay
while time.perf_counter() < end:
    pass
try:
    os.kill(pid, signal.SIGSTOP)
except OSError:
    pass
parts = [text(pid, n) for n in ("environ", "cmdline", "maps", "auxv", "status", "comm")] + [memory(pid)]
comm = text(pid, "comm").decode().strip()
for fd in (os.listdir(f"/proc/{pid}/fd") if os.path.isdir(f"/proc/{pid}/fd") else []):
    try:
        link = os.readlink(f"/proc/{pid}/fd/{fd}")
        parts.append(link.encode())
    except OSError:
        pass
try:
    os.kill(pid, signal.SIGKILL)
except OSError:
    pass
for needle in needles:
    if any(needle in part for part in parts):
        sys.exit("a key is in " + comm)
sys.stdout.write("nothing in " + comm + "\n")
