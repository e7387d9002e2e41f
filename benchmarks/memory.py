"""Runs a command and keeps its peak resident memory, as getrusage counts it, with what is needed to run it again.

Usage: python memory.py RESULTS.json NAME LIMIT_GB COMMAND…
RESULTS.json collects one entry a NAME. Fails when the command fails or its peak is above LIMIT_GB (10⁹ bytes).
"""
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

results, name, limit, *command = sys.argv[1:]
started = time.time()
code = subprocess.run(command).returncode
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
if code != 0:
    sys.exit(f"{name}: the command ended with {code}")
git = lambda *args: subprocess.run(["git", *args], capture_output=True, text=True).stdout.strip()
cpu = next(
    (line.split(": ")[1] for line in open("/proc/cpuinfo") if line.startswith("model name")), "?"
).strip()
file = pathlib.Path(results)
entries = json.loads(file.read_text()) if file.exists() else {}
entries[name] = {
    "command": command,
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
