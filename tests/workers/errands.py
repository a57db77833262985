"""Jobs that other processes can import by name."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time


def errand(job, line):
    """`job` is a word: what happens."""
    if job == "tell":
        line(0.25)
        line(0.75)
    if job == "tell numbers":
        line(0.5, {"task": 0.25})
    if job == "ask":
        return [line.ask("first"), line.ask("second")]
    if job == "die":
        os._exit(7)
    if job == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "wait":
        line(0.5)
        time.sleep(600)
    if job == "wait quietly":
        time.sleep(600)
    if job == "killed, leaving a child":
        child = [sys.executable, "-c", "import time; time.sleep(600)"]
        line(subprocess.Popen(child, close_fds=False).pid)
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "tell and ask":
        line(0.5)
        answer = line.ask("now")
        line(0.75)
        return answer
    if job == "tell for ever":
        while True:
            line(0.5)
    if job.startswith("with a child"):
        child = multiprocessing.Process(target=time.sleep, args=(600,), daemon=True)
        child.start()
        line(child.pid)
        time.sleep(600)
    if job == "who":
        return os.getpid()
    if job == "parent":
        return os.getppid()
    if job.startswith("variable "):
        return os.environ.get(job.removeprefix("variable "))
    if job == "how":
        return multiprocessing.get_start_method()
    return f"{job} done"


class Unloadable:
    """Becomes an error where another process reads it."""

    def __reduce__(self):
        return int, ("no number",)


def deaf(signum, frame):
    """A handler that does not end the process."""


def stubborn(job, line):
    """Cannot be asked to end."""
    signal.signal(signal.SIGTERM, deaf)
    line(0.5)
    while True:
        time.sleep(1)
