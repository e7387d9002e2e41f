"""Runs a command and keeps its peak resident memory, as getrusage counts it, with what is needed to run it again.

Usage: python memory.py RESULTS.json NAME LIMIT_GB [--until-step JOURNAL] COMMAND…
RESULTS.json collects one entry a NAME. Fails when the command fails or its peak is above LIMIT_GB (10⁹ bytes). With
--until-step the command is interrupted, as by Ctrl-C, once its journal holds a step.
"""
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

results, name, limit, *command = sys.argv[1:]
journal = None
if command[0] == "--until-step":
    journal, command = pathlib.Path(command[1]), command[2:]
started = time.time()
process = subprocess.Popen(command, start_new_session=True)
interrupted = False
while process.poll() is None:
    time.sleep(0.2)
    if journal and not interrupted and journal.exists() and '"type":"step"' in journal.read_text():
        os.killpg(process.pid, signal.SIGINT)
        interrupted = True
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
if process.returncode != 0 and not interrupted:
    sys.exit(f"{name}: the command ended with {process.returncode}")
here = os.path.dirname(os.path.abspath(__file__))
git = lambda *args: subprocess.run(
    ["git", "-C", here, *args], capture_output=True, text=True
).stdout.strip()
cpu = next(
    (line.split(": ")[1] for line in open("/proc/cpuinfo") if line.startswith("model name")), "?"
).strip()
file = pathlib.Path(results)
entries = json.loads(file.read_text()) if file.exists() else {}
entries[name] = {
    # where things lie on one machine says nothing to another
    "command": [os.path.basename(part) for part in command],
    "untilStep": journal is not None,
    "peakResidentBytes": peak,
    "limitBytes": float(limit) * 1e9,
    "seconds": round(time.time() - started, 1),
    "commit": git("rev-parse", "HEAD"),
    "machine": {"cpu": cpu, "cores": os.cpu_count()},
    "date": time.strftime("%Y-%m-%d"),
}
file.parent.mkdir(exist_ok=True)
file.write_text(json.dumps(entries, indent=1) + "\n")
print(f"{name}: peak {peak / 1e9:.2f} GB of {limit} GB, {time.time() - started:.0f} s")
if peak > float(limit) * 1e9:
    sys.exit(f"{name}: above the limit")
