"""Boots kernels under qemu, reads what the claims say on each, and writes or compares the matrix. Started by ./run.

usage: boot.py write|check MATRIX PINS FOLDER

FOLDER holds what ./run prepared: `initramfs`, `disk`, `selected` (lines "series package version", those to be booted), and
for each package either `PACKAGE/vmlinuz` or `PACKAGE/why`, the reason why it could not be had. PINS are all the lines.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

AT_ONCE = 2
SECONDS = int(os.environ.get("KERNELS_SECONDS", "600"))
COMMAND_LINE = "console=ttyS0 panic=-1 oops=panic no_timer_check quiet " + os.environ.get("KERNELS_COMMAND_LINE", "")
RESULT = re.compile(r"^who-waits: verdicts\n(.*)\nwho-waits: (exit|signal) (\d+)$", re.DOTALL | re.MULTILINE)
KINDS = ("holds", "does not hold", "cannot tell")
running = set()


class NoResult(Exception):
    """A boot that ended without verdicts, and why."""


def boot(folder, package, attempt):
    """One boot: (the release, the verdicts, the exit status of the claims, what they wrote on stderr)."""
    log = folder / package / f"console-{attempt}.log"
    # timeout(1) ends qemu even where this program is killed. Without -cx16 the kernels die at random: qemu 7.2 forgets the
    # flags of a cmpxchg16b when an interrupt comes right after it, and the kernel's allocator is full of them.
    command = f"""timeout --kill-after=5 {SECONDS} qemu-system-x86_64 -accel tcg -cpu max,-cx16 -smp 1 -m 768
        -nographic -no-reboot -nic none -device nvme,drive=disk,serial=claims""".split() + [
        "-drive", f"file={folder / 'disk'},format=raw,if=none,id=disk,snapshot=on",
        "-kernel", folder / package / "vmlinuz", "-initrd", folder / "initramfs", "-append", COMMAND_LINE,
    ]
    with log.open("wb") as console:
        qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT)
        running.add(qemu)
        status = qemu.wait()
        running.discard(qemu)
    text = log.read_text(errors="replace").replace("\r", "")
    result = RESULT.search(text)
    if result:
        verdicts, kind, number = result.groups()
        if kind == "signal":
            raise NoResult(f"the claims were ended by signal {number}")
        try:
            told = json.loads(verdicts)
            release, verdicts = told["kernel"], told["verdicts"]
        except (ValueError, KeyError, TypeError) as error:
            raise NoResult(f"what the claims printed is not their JSON ({error!r}); their exit status was {number}")
        stderr = text[:result.start()].rpartition("who-waits: begin\n")[2]
        return release, verdicts, int(number), stderr
    begun = "who-waits: begin" in text
    if status == 124:
        how = "the claims did not end" if begun else "the kernel did not start the claims"
        raise NoResult(f"no result line within {SECONDS} s: {how}")
    # qemu exits with 0 when the guest panics, so only the console tells.
    told = re.search(r"Kernel panic - .*|who-waits: init: .*|qemu-system-x86_64: .*", text)
    how = told.group() if told else f"qemu ended with status {status} " + ("while" if begun else "before") + " the claims ran"
    raise NoResult(f"no result line: {how}")


def report(folder, package):
    """Boots a kernel, once more where there was no result: what `boot` returns, or NoResult."""
    missing = folder / package / "why"
    if missing.exists():
        raise NoResult(missing.read_text().strip())
    try:
        return boot(folder, package, 1)
    except NoResult as error:
        print(f"{package}: {error}; once more", flush=True)
    try:
        return boot(folder, package, 2)
    except NoResult as error:
        raise NoResult(f"{error} (twice)")


def age(kernel):
    return [int(number) for number in re.findall(r"\d+", kernel["release"])]


def write(path, kernels, silent):
    """The matrix, a verdict a line, so that a difference is a line of the commit that makes it."""
    text = lambda value: json.dumps(value, ensure_ascii=False)
    lines = []
    for kernel in sorted(kernels.values(), key=age):
        head = ", ".join(f"{text(key)}: {text(kernel[key])}" for key in ("release", "package", "version"))
        told = sorted(kernel["verdicts"].items())
        verdicts = ",\n".join(f"    {text(claim)}: {text(verdict)}" for claim, verdict in told)
        lines.append(f'  {{{head}, "verdicts": {{\n{verdicts}\n  }}}}')
    mute = [f'  {{"package": {text(package)}, "why": {text(why)}}}' for package, why in sorted(silent.items())]
    join = lambda items: "\n" + ",\n".join(items) + "\n" if items else ""
    path.write_text(f'{{"kernels": [{join(lines)}], "silent": [{join(mute)}]}}\n')


def differences(was, now):
    """Lines: what the committed matrix and this run say differently of one kernel."""
    if not was:
        yield "no verdicts in the committed matrix"
        return
    for claim in sorted(was.keys() | now.keys()):
        old, new = was.get(claim), now.get(claim)
        if old is None:
            yield f"{claim}: not in the committed matrix"
        elif new is None:
            yield f"{claim}: in the committed matrix, and not reported"
        elif old["verdict"] != new["verdict"]:
            yield f"{claim}: committed \"{old['verdict']}\" ({old['why']}), now \"{new['verdict']}\" ({new['why']})"


def main():
    mode, matrix, pins, folder = sys.argv[1], *map(pathlib.Path, sys.argv[2:])
    rows = lambda path: [line.split() for line in path.read_text().splitlines()]
    pinned = {package for _, _, package, _ in rows(pins)}
    selected = rows(folder / "selected")
    committed = json.loads(matrix.read_text()) if matrix.exists() else {"kernels": [], "silent": []}
    before = {kernel["package"]: kernel for kernel in committed["kernels"]}
    kernels, silent = dict(before), {mute["package"]: mute["why"] for mute in committed["silent"]}
    red = []

    def told(package):
        try:
            return report(folder, package)
        except NoResult as error:
            return error

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(told, [package for _, package, _ in selected]))
    for (series, package, version), answer in zip(selected, answers):
        kernels.pop(package, None), silent.pop(package, None)
        if isinstance(answer, NoResult):
            silent[package] = str(answer)
            red.append(f"{series} ({package}) is silent: {answer}")
            continue
        release, verdicts, status, stderr = answer
        kernels[package] = {"release": release, "package": package, "version": version, "verdicts": verdicts}
        count = [verdict["verdict"] for verdict in verdicts.values()]
        print(f"{release}: " + ", ".join(f"{count.count(kind)} {kind}" for kind in KINDS))
        if status != 0:
            red.append(f"{release}: the claims end with status {status}: one contradicts the ledger\n{stderr.rstrip()}")
        if mode == "check":
            was = before.get(package)
            red += [f"{release}: {line}" for line in differences(was["verdicts"] if was else {}, verdicts)]

    stale = sorted((kernels.keys() | silent.keys()) ^ pinned)
    if mode == "write":
        write(matrix, {package: kernel for package, kernel in kernels.items() if package in pinned},
              {package: why for package, why in silent.items() if package in pinned})
        stale = [package for package in stale if package in pinned]
    red += [f"{package}: in {'the pins' if package in pinned else matrix.name} only" for package in stale]
    for line in red:
        print(f"kernels: {line}", file=sys.stderr)
    return 1 if red else 0


def end_children():
    for qemu in list(running):
        qemu.terminate()


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGINT):
        # os._exit: the threads that wait for qemu would hold up an ordinary one.
        signal.signal(number, lambda *_: (end_children(), os._exit(1)))
    sys.exit(main())
