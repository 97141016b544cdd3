"""A taken-over agent against content streams, connections and memory: nothing but delay.

After every attack slots, boot choice, files and trust state are byte for byte what they were, and an honest agent that
connects afterwards finishes the update.
"""
import array
import json
import os
import socket
import struct
import subprocess
import sys
import threading

import pytest

from attacks import refused, swallow, waiting
from documents import b64u
from installer import BIN, Refused, Release

MIB = 1024 * 1024


def finishes(installer, release, counter=1, slot="b"):
    """An honest agent comes: what is wanted is brought, and the update ends well."""
    if installer.state()["wanted"]:
        installer.send_content(release.file_id, release.sealed_sha256, release.sealed)
    state = installer.wait_idle()
    assert "lastCode" not in state and state["installed"]["releaseCounter"] == counter
    assert installer.active_slot() == slot and installer.slot_bytes(slot, len(release.content)) == release.content


def content_request(release):
    return {"verb": "offer-content", "fileId": release.file_id, "sealedSha256": release.sealed_sha256}


def memory_kib(installer, name):
    with open(f"/proc/{installer.process.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name + ":"))


def warmed(world, installer):
    """A second update that waits for its content, and the memory now, from which the peak counts anew.

    The first update has been through every path, so what is resident of the program's own file grows no more.
    """
    first = Release(world, installer)
    first.offer()
    finishes(installer, first)
    release = Release(world, installer, counter=2, version="1.1.0")
    release.offer()
    with open(f"/proc/{installer.process.pid}/clear_refs", "w") as file:
        file.write("5")
    return release, memory_kib(installer, "VmRSS")


# --- verbs in phases -------------------------------------------------------------------------------------------------------


def every_verb(installer, release, tmp_path):
    """Each verb in right and wrong forms; what each answers is of no interest, what it changes is."""
    pipe = os.pipe()
    other = Release(release.world, installer, b"other", counter=2, version="9.9.9", device="dev-2")
    messages = [
        {"verb": "offer-content", "fileId": release.file_id, "sealedSha256": b64u(bytes(32))},
        {"verb": "offer-content", "fileId": "f" + "0" * 15 + "9", "sealedSha256": release.sealed_sha256},
        {"verb": "offer-documents", "packages": ["{}"]}, {"verb": "offer-documents", "packages": [], "status": "a.b.c"},
        {"verb": "offer-documents", "packages": [], "order": "a.b.c"},
        {"verb": "offer-documents", **{**other.documents(), "status": release.status, "packages": []}},
        {"verb": "offer-documents", "packages": [release.world.package()]},
        {"verb": "identify", "csrSha256": b64u(bytes(32))}, {"verb": "state", "acknowledged": 2**53 - 1},
        {"verb": "state", "waitMs": 0, "phase": "idle"}, {"verb": "commit"}, {"verb": "switch"}, {"verb": ""}, {}, [], "state", None,
    ]
    for message in messages:
        for descriptor in (None, pipe[0]):
            channel = installer.channel()
            channel.send(message, descriptor)
            channel.receive()
            channel.close()
    os.close(pipe[0])
    os.close(pipe[1])


@pytest.mark.parametrize("phase", ["idle", "accepted", "receiving", "installed"])
def test_S1_61_X7_every_verb_in_every_phase_before_the_switch_changes_nothing(world, installer, tmp_path, phase):
    if phase == "installed":
        release = waiting(world, installer)
    else:
        release = Release(world, installer, os.urandom(100_000))
    if phase in ("accepted", "receiving"):
        release.offer()
    write_end = None
    if phase == "receiving":
        read_end, write_end = os.pipe()
        stream = installer.channel()
        stream.send(content_request(release), read_end)
        os.close(read_end)
        os.write(write_end, release.sealed[:1000])
        assert installer.state(waitMs=5000, phase="accepted")["phase"] == "receiving"
    elif phase == "idle":
        installer.offer(status=release.status)
    before = installer.fingerprint()
    every_verb(installer, release, tmp_path)
    assert installer.fingerprint() == before
    assert installer.state()["phase"] == phase
    if write_end is not None:
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(release.sealed[1000:])
        assert "ok" in stream.receive()
        stream.close()
    if phase == "idle":
        release.offer(status=None)
    if phase != "installed":
        finishes(installer, release)


def test_X7_a_finished_order_and_its_content_bring_nothing_when_they_come_again(world, installer):
    release = Release(world, installer)
    release.install()
    before, receipts = installer.fingerprint(), len(installer.state()["receipts"])
    for _ in range(5):
        release.offer(status=None)
        refused(installer, "Conflict", lambda: installer.send_content(release.file_id, release.sealed_sha256, release.sealed))
        with pytest.raises(Refused):
            installer.ask({"verb": "abort-before-switch"})
    assert installer.fingerprint() == before and len(installer.state()["receipts"]) == receipts


# --- swapped content --------------------------------------------------------------------------------------------------------


def test_S0_28_content_of_another_update_ends_the_order_and_changes_nothing_that_runs(world, installer):
    first = Release(world, installer, os.urandom(5000))
    first.offer()
    other = Release(world, installer, os.urandom(5000), counter=2, version="1.1.0")
    with pytest.raises(Refused) as caught:
        installer.send_content(first.file_id, first.sealed_sha256, other.sealed)
    assert caught.value.code in ("DecryptFailed", "FileHashMismatch", "FormatVersionUnknown")
    assert installer.active_slot() == "a" and installer.state()["phase"] == "idle"
    installer.offer(status=other.status)
    assert other.install(status=None)["installed"]["releaseCounter"] == 2


def test_S0_28_a_file_that_changes_under_the_pipe_is_what_was_hashed_or_nothing(world, installer, tmp_path):
    """Pages that were spliced into the pipe still belong to the agent's file: it changes them after they were sent."""
    release = Release(world, installer, os.urandom(40_000))
    release.offer()
    path = tmp_path / "swapped"
    path.write_bytes(release.sealed)
    file = os.open(path, os.O_RDWR)
    read_end, write_end = os.pipe()
    moved = 0
    while moved < len(release.sealed):
        moved += os.splice(file, write_end, len(release.sealed) - moved, offset_src=moved)
    os.pwrite(file, b"evil" * 1000, 20_000)
    channel = installer.channel()
    channel.send(content_request(release), read_end)
    os.close(read_end)
    os.close(write_end)
    answer = channel.receive()
    channel.close()
    os.close(file)
    if "ok" in answer:
        assert installer.wait_idle()["installed"]["releaseCounter"] == 1
        assert installer.slot_bytes("b", len(release.content)) == release.content
    else:
        assert answer["error"]["code"] in ("DecryptFailed", "FileHashMismatch")
        assert installer.active_slot() == "a"


# --- descriptors --------------------------------------------------------------------------------------------------------


def test_S1_61_only_the_reading_end_of_a_pipe_is_read(world, installer, tmp_path):
    release = Release(world, installer)
    release.offer()
    regular = tmp_path / "regular"
    regular.write_bytes(release.sealed)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    memory = os.memfd_create("content")
    os.write(memory, release.sealed)
    left, right = socket.socketpair()
    right.send(release.sealed[:100])
    read_end, write_end = os.pipe()
    kinds = {"file": os.open(regular, os.O_RDONLY), "directory": os.open(tmp_path, os.O_RDONLY), "path": os.open(regular, os.O_PATH),
             "memory": memory, "socket": left.detach(), "writing end": write_end, "both ends": os.open(fifo, os.O_RDWR),
             "urandom": os.open("/dev/urandom", os.O_RDONLY), "full": os.open("/dev/full", os.O_RDWR)}
    before = installer.fingerprint()
    for kind, descriptor in kinds.items():
        with pytest.raises(Refused) as caught:
            installer.ask(content_request(release), descriptor)
        assert caught.value.code == "InvalidArgument", (kind, caught.value)
        os.close(descriptor)
    os.close(read_end)
    right.close()
    assert installer.fingerprint() == before
    finishes(installer, release)


# Another process that holds the pipe too: the taken-over agent's second half.
BLOCKING = """
import fcntl, os, sys
fd = int(sys.argv[1])
while True:
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_NONBLOCK)
    os.set_blocking(fd, False)
    try:
        os.read(fd, 1)
    except BlockingIOError:
        pass
    os.set_blocking(fd, True)
"""


def test_X6_flags_and_bytes_taken_back_from_the_pipe_hang_no_stream(world, installer):
    """The agent shares the pipe: it makes it block again and steals bytes between poll and read."""
    release = Release(world, installer, os.urandom(200_000))
    release.offer()
    read_end, write_end = os.pipe()
    thieves = [subprocess.Popen([sys.executable, "-c", BLOCKING, str(read_end)], pass_fds=[read_end]) for _ in range(2)]
    channel = installer.channel()
    channel.send(content_request(release), read_end)
    os.set_blocking(write_end, False)
    for start in range(0, 4000, 1):
        try:
            os.write(write_end, release.sealed[start:start + 1])
        except BlockingIOError:
            break
    # The writing end stays open and silent: only the installer's own bound ends the stream, or a header that lost bytes
    # and names another size for it.
    answer = channel.receive()
    channel.close()
    for thief in thieves:
        thief.kill()
        thief.wait()
    os.close(read_end)
    os.close(write_end)
    assert answer["error"]["code"] in ("TimedOut", "DecryptFailed", "FormatVersionUnknown", "FileTooLarge", "Truncated")
    assert installer.active_slot() == "a"
    if answer["error"]["code"] == "TimedOut":
        finishes(installer, release)


def test_X6_a_pipe_that_is_never_closed_and_a_drip_end_by_themselves(world, installer):
    release = Release(world, installer, os.urandom(100_000))
    release.offer()
    for drip in (False, True):
        read_end, write_end = os.pipe()
        channel = installer.channel()
        channel.send(content_request(release), read_end)
        os.close(read_end)
        os.write(write_end, release.sealed[:100])
        done = threading.Event()

        def drops():
            position = 100
            while not done.wait(0.2):  # the attack is the pause
                os.write(write_end, release.sealed[position:position + 1])
                position += 1

        dripping = threading.Thread(target=drops)
        if drip:
            dripping.start()
        answer = channel.receive()
        done.set()
        if drip:
            dripping.join()
        os.close(write_end)
        channel.close()
        assert answer["error"]["code"] == "TimedOut"
        assert installer.active_slot() == "a" and installer.state()["phase"] == "accepted"
    finishes(installer, release)


# --- floods and memory ----------------------------------------------------------------------------------------------------


def test_X6_lengths_without_bytes_and_half_messages_cost_no_memory(world, installer):
    release, before = warmed(world, installer)
    channels = []
    for number in range(8):
        channel = installer.channel()
        channel.socket.sendall(struct.pack(">I", 4 * MIB))
        if number % 2:
            channel.socket.sendall(b'{"verb":"state","x":"')
        channels.append(channel)
    for channel in channels:
        channel.close()
    finishes(installer, release, counter=2, slot="a")
    assert memory_kib(installer, "VmHWM") - before < 1024


def test_X6_many_large_messages_at_once_take_the_memory_of_one(world, installer):
    release, base = warmed(world, installer)
    body = b'{"verb":"state","x":"' + b"a" * (4 * MIB - 100) + b'"}'
    channels = [installer.channel() for _ in range(8)]

    def send(channel):
        swallow(lambda: channel.socket.sendall(struct.pack(">I", len(body)) + body))
        swallow(channel.receive)

    senders = [threading.Thread(target=send, args=(channel,)) for channel in channels]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    for channel in channels:
        channel.close()
    finishes(installer, release, counter=2, slot="a")
    # One text, and what the parser makes of it.
    assert memory_kib(installer, "VmHWM") - base < 14 * 1024
    assert memory_kib(installer, "VmRSS") - base < 1024


def test_X6_a_text_of_many_small_values_is_refused_before_it_is_large(world, installer):
    _, base = warmed(world, installer)
    row = b"[" + b",".join([b"0"] * 90_000) + b"]"
    body = b'{"verb":"state","x":[' + b",".join([row] * 20) + b"]}"
    channel = installer.channel()
    channel.send(body)
    assert channel.receive()["error"]["code"] == "LimitExceeded"
    channel.close()
    assert memory_kib(installer, "VmHWM") - base < 8 * 1024


def test_a_message_a_byte_at_a_time_is_a_message(world, installer):
    channel = installer.channel()
    message = b'{"verb":"state"}'
    for byte in struct.pack(">I", len(message)) + message:
        channel.socket.sendall(bytes([byte]))
    assert channel.receive()["phase"] == "idle"
    channel.close()


def test_answers_that_nobody_reads_hold_nobody_up(world, installer):
    release = Release(world, installer)
    for number in range(60):
        with pytest.raises(Refused):
            installer.offer(order=f"x{number}")
    deaf = []
    for _ in range(6):
        channel = installer.channel()
        channel.socket.setblocking(False)
        try:
            while True:
                channel.socket.sendall(struct.pack(">I", 16) + b'{"verb":"state"}')
        except BlockingIOError:
            pass
        deaf.append(channel)
    release.offer()
    finishes(installer, release)
    for channel in deaf:
        channel.close()


def test_S1_61_many_descriptors_in_one_message_are_closed_and_refused(world, installer):
    pipes = [os.pipe() for _ in range(100)]
    ends = [end for pair in pipes for end in pair]
    before = len(os.listdir(f"/proc/{installer.process.pid}/fd"))
    message = json.dumps({"verb": "state"}).encode()
    for _ in range(10):
        channel = installer.channel()
        rights = array.array("i", ends)
        channel.socket.sendmsg([struct.pack(">I", len(message)) + message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        swallow(channel.receive)
        channel.close()
    assert installer.state()["phase"] == "idle"
    assert len(os.listdir(f"/proc/{installer.process.pid}/fd")) <= before + 4
    for end in ends:
        os.close(end)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
def test_S1_61_S1_62_another_uid_is_told_no_and_nothing_else(world, installer, tmp_path):
    release = Release(world, installer)
    release.offer()
    # Even with the socket opened to everybody, the peer's uid decides.
    path = os.path.join(installer.folder, "installer.sock")
    os.chmod(path, 0o777)
    for folder in (installer.folder, str(tmp_path)):
        while folder != "/":
            os.chmod(folder, os.stat(folder).st_mode | 0o111)
            folder = os.path.dirname(folder)
    before = installer.fingerprint()
    program = ("import sys; sys.path[:0] = sys.argv[2:]; import os; os.setgroups([]); os.setgid(61999); os.setuid(61999);"
               "from installer import Channel; c = Channel(sys.argv[1]);"
               "print(c.receive()['error']['code'])")
    done = subprocess.run([sys.executable, "-B", "-c", program, path, *sys.path], capture_output=True, text=True, env={"FLEETSEAL_BIN": BIN})
    assert done.stdout.strip() == "PermissionDenied", done.stderr
    assert installer.fingerprint() == before
    finishes(installer, release)
