"""A worker that is no engine: it writes what its way says, noisily, after a moment. For tests of those who run workers."""

import os
import sys
import time

from protocol import serve


def load(folder, threads, dtype, options):
    print(f"a library greets {folder}")
    if dtype == "float8":
        raise TypeError("no such numbers here")
    return {
        "counting": lambda requests: [_counted(ids, count, options.get("step", 1)) for ids, count in requests],
        "forgetful": _forgetful(),
        "dying": lambda requests: os._exit(3),
        "failing": lambda requests: 1 / 0,
        "working": lambda requests: _busy(0.3),
    }


def _counted(ids, count, step):
    os.write(1, b"so does its C++\n")
    time.sleep(0.01)
    return [ids[-1] + step * (i + 1) for i in range(count)]


def _forgetful():
    turns = iter(range(100))
    return lambda requests: [[next(turns)] * count for _, count in requests]


def _busy(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    return []


if __name__ == "__main__":
    print("last words of a start", file=sys.stderr)
    serve(load, ["torch", "a-package-that-nobody-has"])
