"""Runs tests inside of a booted node: run_tests.py TESTS PORT.

TESTS is a JSON list of {name, script, timeoutSeconds}. PORT gets a line of JSON for each thing that happens: the state
of the system, the beginning and the end of each test, and that it was the last one. What a test prints is cut to its
end, since a port is slow and a report is read by people. After that PORT is obeyed: a test, as TESTS has them, in a line of its
own, or the word `reboot`.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

# Bytes of a test's output that are reported.
LONGEST_OUTPUT = 32 * 1024
# Seconds until the system has started everything, or is taken as it is.
PATIENCE = 600


def main(tests_file, port_file):
    with open(tests_file, encoding="utf-8") as file:
        tests = json.load(file)
    with open(port_file, "r+b", buffering=0) as port:

        def report(line):
            send(port, (json.dumps(line) + "\n").encode())

        report({"event": "started", "state": wait_for_system(), "failedUnits": failed_units()})
        for test in tests:
            report({"event": "begin", "name": test["name"]})
            report({"event": "end", "name": test["name"], **run(test)})
        report({"event": "complete"})
        while line := port.readline():
            if line.strip() == b"reboot":
                subprocess.run(["systemctl", "reboot"], check=False)
                return
            test = json.loads(line)
            report({"event": "end", "name": test["name"], **run(test)})


def send(port, data):
    while data:
        data = data[port.write(data) :]


def wait_for_system():
    try:
        waiting = subprocess.run(
            ["systemctl", "is-system-running", "--wait"], stdout=subprocess.PIPE, timeout=PATIENCE, check=False
        )
        return waiting.stdout.decode().strip()
    except subprocess.TimeoutExpired:
        return "starting"


def failed_units():
    listed = subprocess.run(
        ["systemctl", "list-units", "--failed", "--plain", "--no-legend"], stdout=subprocess.PIPE, check=False
    )
    return [line.split()[0] for line in listed.stdout.decode().splitlines() if line.strip()]


def run(test):
    started = time.monotonic()
    # A file takes whatever is printed at the pace at which it is, also by those that outlive the test.
    with tempfile.TemporaryFile(dir="/run") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", test["script"]],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(test["timeoutSeconds"])
        except subprocess.TimeoutExpired:
            status = None
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        length = output.seek(0, os.SEEK_END)
        output.seek(max(0, length - LONGEST_OUTPUT))
        text = output.read().decode("utf-8", "replace")
    return {"status": status, "seconds": round(time.monotonic() - started, 1), "output": text}


if __name__ == "__main__":
    main(*sys.argv[1:])
