#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""alternate.py SOCKET GUEST COUNT: full screen on and off, so many times each, each seen to have its effect on the
planes: the guest's buffer on the primary plane, and on none. Prints the longest time that one took, in ms."""

import json
import socket
import sys
import time

LIMIT = 60


class Control:
    """The control socket: a line for a request, a line for its answer."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.lines = self.socket.makefile("rw", encoding="utf-8")

    def ask(self, **request):
        self.lines.write(json.dumps({"version": 1, **request}) + "\n")
        self.lines.flush()
        return json.loads(self.lines.readline())

    def connector(self, guest):
        status = self.ask(request="status")
        guests = status.get("status", status)["guests"]
        return next(found for found in guests if found["name"] == guest)["connectors"][0]


def alternate(control, guest, full):
    begun = time.monotonic()
    control.ask(request="fullscreen", guest=guest if full else None)
    while True:
        connector = control.connector(guest)
        on_plane = "primary" in (connector["plane"] or "")
        if on_plane == full and connector["presented_by"] == ("plane" if full else "composite"):
            return time.monotonic() - begun
        if time.monotonic() - begun > LIMIT:
            sys.exit(f"full screen {full}: {connector['plane'] or connector['plane_refused']}")
        time.sleep(0.005)


def main():
    path, guest, count = sys.argv[1:]
    control = Control(path)
    longest = 0
    for _ in range(int(count)):
        for full in (False, True):
            longest = max(longest, alternate(control, guest, full))
    print(round(longest * 1000))


main()
