"""Holds a program on a leash: run as a script, it starts the command after its name and ends it, with all the processes
that it started, when whoever holds our standard input lets go. A worker that is killed lets go too, so no program goes
on with the graphics card behind a studio that is gone. Standard library only; knows nothing of the studio."""

import contextlib
import os
import signal
import subprocess
import sys
import threading


def main(command: list[str]) -> int:
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl+C is meant for the studio, which lets go then
    if os.name == "posix":
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    else:
        flags = subprocess.CREATE_NEW_PROCESS_GROUP  # type: ignore[attr-defined]
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, creationflags=flags)
    threading.Thread(target=_watch, args=(child,), daemon=True).start()
    status = child.wait()
    _end(child)  # what it started may still be there
    return status if status >= 0 else 128 - status


def _watch(child: "subprocess.Popen[bytes]") -> None:
    # not sys.stdin: its lock would keep this process from ending
    while os.read(0, 4096):
        pass
    _end(child)


def _end(child: "subprocess.Popen[bytes]") -> None:
    """It and its family. Nobody there: fine."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    else:
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(child.pid)], capture_output=True, check=False)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)  # the thread above still reads
