"""Python's ftplib against the FTP server: 200 clients at once, and a measurement. Called by ci/ftp.sh."""

import ftplib
import io
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time

CLIENTS = 200


def connect(host, port):
    ftp = ftplib.FTP(timeout=60)
    ftp.connect(host, port)
    ftp.login()
    return ftp


def client(host, port, number, size, together, wrong):
    """Downloads from an offset, uploads, resumes the upload, and compares."""
    try:
        ftp = connect(host, port)
        together.wait()
        at = number * 1000
        got = io.BytesIO()
        ftp.retrbinary("RETR big", got.write, rest=at)
        if len(got.getvalue()) != size - at:
            raise AssertionError(f"{len(got.getvalue())} bytes came, not {size - at}")
        content = os.urandom(number * 2000 + 1)
        half = len(content) // 2
        ftp.storbinary(f"STOR in/{number}", io.BytesIO(content[:half]))
        ftp.storbinary(f"STOR in/{number}", io.BytesIO(content[half:]), rest=half)
        back = io.BytesIO()
        ftp.retrbinary(f"RETR in/{number}", back.write)
        if back.getvalue() != content:
            raise AssertionError("what was stored comes back otherwise")
        names = [name for name, _ in ftp.mlsd("in")]
        if str(number) not in names:
            raise AssertionError("its file is not in the folder")
        ftp.quit()
    except Exception as error:
        wrong.append(f"client {number}: {error!r}")


def abort(host, port):
    """ftplib sends ABOR as urgent data: its line end is the urgent byte."""
    ftp = connect(host, port)
    data = ftp.transfercmd("RETR big")
    data.recv(1000)
    if not ftp.abort().startswith("426"):
        raise AssertionError("ABOR was not obeyed")
    data.close()
    ftp.voidresp()
    ftp.quit()


def check(host, port, root):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    abort(host, port)
    # 200 times the whole of it would be 8 GB.
    size = 1_000_000
    with open(os.path.join(root, "big"), "r+b") as big:
        big.truncate(size)
    together, wrong = threading.Barrier(CLIENTS), []
    threads = [
        threading.Thread(target=client, args=(host, port, number, size, together, wrong))
        for number in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        sys.exit("\n".join(wrong[:5]))
    print(f"  ftplib: {CLIENTS} clients at once, both ways, resumed; and ABOR")


VSFTPD = """listen=YES
background=NO
anonymous_enable=YES
ftp_username=daemon
nopriv_user=nobody
anon_root={root}
listen_address=127.0.0.1
listen_port={port}
pasv_address=127.0.0.1
seccomp_sandbox=NO
secure_chroot_dir={empty}
"""


def measure(rounds, program, root):
    """Seconds of wall clock and of the server's processor for a download by curl, interleaved."""
    os.chmod(os.path.dirname(root), 0o755)
    os.chmod(root, 0o555)
    servers = {
        "epoll": [program, "--listen", "127.0.0.1:21121", "--root", root],
        "io_uring": [program, "--listen", "127.0.0.1:21122", "--root", root, "--over", "io_uring"],
    }
    vsftpd = os.environ.get("VSFTPD") or "vsftpd"
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run(["sh", "-c", f"command -v {vsftpd}"], capture_output=True).returncode == 0:
            conf = os.path.join(folder, "conf")
            empty = os.path.join(folder, "empty")
            os.mkdir(empty)
            with open(conf, "w") as file:
                file.write(VSFTPD.format(root=root, port=21123, empty=empty))
            servers["vsftpd"] = [vsftpd, conf]
        running = {name: subprocess.Popen(["taskset", "-c", "0", *command], stdout=subprocess.DEVNULL) for name, command in servers.items()}
        time.sleep(1)
        try:
            seconds = {name: [] for name in servers}
            for _ in range(rounds + 1):
                for number, name in enumerate(servers):
                    url = f"ftp://127.0.0.1:{21121 + list(servers).index(name)}/big"
                    began = time.monotonic()
                    subprocess.run(["taskset", "-c", "1", "curl", "-sf", "-o", "/dev/null", url], check=True)
                    seconds[name].append(time.monotonic() - began)
            for name, all_of_it in seconds.items():
                rates = [512 / second for second in all_of_it[1:]]
                print(f"{name:<10} {statistics.median(rates):6.0f} MiB/s ({min(rates):.0f} to {max(rates):.0f})")
        finally:
            for process in running.values():
                process.terminate()
                process.wait()


match sys.argv[1:]:
    case ["check", host, port, root]:
        check(host, int(port), root)
    case ["measure", rounds, program, root]:
        measure(int(rounds), program, root)
    case _:
        sys.exit("ftp.py check HOST PORT ROOT | measure ROUNDS PROGRAM ROOT; called by ci/ftp.sh")
