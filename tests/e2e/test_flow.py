"""The whole flow on a lab: real processes, users, TLS, log and ciphertext."""
import base64
import hashlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
from urllib.parse import urlsplit

import pytest

from documents import b64, b64u, jws_parts, sha256, unb64u
from lab import BIN, COMPATIBLE, PRODUCT

MARKER = b"FLEETSEAL-PLAINTEXT-MARKER-0123456789"


def image(seed, size=300_000):
    """Different bytes for each seed, with a marker that may not be seen outside of its owners."""
    return MARKER + hashlib.shake_256(seed.encode()).digest(size)


def active_bytes(lab, device, size):
    with open(lab.active_image(device), "rb") as file:
        return file.read(size)


def files_below(folder):
    return [path for root, _, names in os.walk(folder) for path in (os.path.join(root, name) for name in names) if os.path.isfile(path)]


def tree_digest(*folders):
    digest = hashlib.sha256()
    for folder in folders:
        for root, directories, files in sorted(os.walk(folder)):
            for name in sorted(files):
                path = os.path.join(root, name)
                digest.update(path.encode())
                with open(path, "rb") as file:
                    digest.update(hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


# --- the good day ----------------------------------------------------------------------------------------------------------


def test_lab_describes_itself_completely(lab):
    info = lab.info
    for name in ("dir", "admin_url", "device_url", "server_ca", "device_ca", "log_url", "log_vkey", "root_package", "identities", "devices", "pids", "env", "update"):
        assert name in info, name
    assert set(info["identities"]) >= {"operator", "publisher", "security", "approver1", "approver2", "auditor"}
    for identity in info["identities"].values():
        assert os.path.exists(identity["cert"]) and os.path.exists(identity["key"])
    for device in info["devices"]:
        for name in ("cert", "key", "config", "state_dir"):
            assert os.path.exists(device[name]), device[name]
        assert len(device["slots"]) == 2
        assert os.path.exists(f"/proc/{device['agent_pid']}") and os.path.exists(f"/proc/{device['installer_pid']}")
    for pid in info["pids"].values():
        assert os.path.exists(f"/proc/{pid}")


def test_populated_devices_run_the_first_release(lab):
    with open(lab.info["update"]["file"], "rb") as file:
        wanted = file.read()
    for device in ("dev-1", "dev-2"):
        assert active_bytes(lab, device, len(wanted)) == wanted


def user_of(pid):
    """Of the process itself: the owner of its /proc entry is root, because its memory is closed."""
    with open(f"/proc/{pid}/status") as file:
        return int(next(line for line in file if line.startswith("Uid:")).split()[1])


@pytest.mark.skipif(os.geteuid() != 0, reason="users of their own need root")
def test_S1_62_each_process_has_its_own_user_and_the_server_is_not_the_signers_parent(lab):
    pids = lab.status()["pids"]
    owners = {name: user_of(pids[name]) for name in ("server", "signer", "sealer")}
    device = lab.status()["devices"][0]
    owners["agent"] = user_of(device["agent_pid"])
    owners["installer"] = user_of(device["installer_pid"])
    assert len(set(owners.values())) == 5 and 0 not in owners.values(), owners
    with open(f"/proc/{pids['signer']}/stat") as file:
        assert int(file.read().rsplit(")", 1)[1].split()[1]) != pids["server"]
    for folder in ("signer", "sealer"):
        denied = subprocess.run(["setpriv", "--reuid", str(owners["server"]), "--regid", str(owners["server"]), "--clear-groups",
                                 "ls", os.path.join(lab.folder, "org", folder)], capture_output=True)
        assert denied.returncode != 0


def test_S0_1_S0_7_S1_5_a_new_release_travels_the_whole_way(lab, tmp_path):
    content = image("1.1.0")
    path = lab.path("pump-1.1.0.img", content)
    update = lab.release("1.1.0", path)
    assert lab.watch(lab.roll_out(update, "dev-1", "dev-2")) == {"dev-1": "installed", "dev-2": "installed"}
    for device in ("dev-1", "dev-2"):
        assert active_bytes(lab, device, len(content)) == content
    documents = str(tmp_path / "documents")
    lab.good("update", "show", update, "--documents", documents, "--device", "dev-1")
    assert {"manifest.json", "manifest.jws", "root-package-1.json", "log.proof", "checkpoint", "order.jws", "status.jws"} <= set(os.listdir(documents))
    verdict = lab.good("verify", documents, "--package", lab.info["root_package"])
    assert verdict["trusted"] and {finding["outcome"] for finding in verdict["findings"]} <= {"ok", "skipped"}


def test_S0_1_a_single_file_is_signed_delivered_and_installed_the_same_way(lab):
    content = b"[pump]\nlimit = 3\n"
    path = lab.path("pump.conf", content)
    submitted = lab.good("update", "submit", "--product", PRODUCT, "--version", "1.1.5", "--compatible", COMPATIBLE, "--component", "settings",
                         "--file", path + ":file:target=pump.conf")
    lab.approve(submitted)
    lab.good("update", "import", submitted["id"], path)
    assert lab.watch(lab.roll_out(submitted["id"], "dev-1")) == {"dev-1": "installed"}
    with open(os.path.join(os.path.dirname(lab.device_home("dev-1")), "files", "pump.conf"), "rb") as file:
        assert file.read() == content


def test_S0_23_the_log_verifies_and_holds_every_kind_of_record(lab):
    report = lab.good("audit", "verify")
    assert report["size"] > 10
    entries = lab.good("audit", "query", "--limit", "1000", "--as", "auditor")["entries"]
    kinds = {json.loads(entry["leaf"])["type"] for entry in entries}
    assert {"package", "register-change", "request", "approval", "manifest-signature", "sealed", "plan", "order", "certificate", "receipt-batch"} <= kinds


def test_S1_2_a_receipt_in_the_log_belongs_to_each_installation(lab):
    events = lab.good("device", "timeline", "dev-1")["events"]
    assert any(event.get("outcome") == "installed" for event in events)


def test_S1_7_the_manifest_lists_what_was_submitted(lab, tmp_path):
    update = lab.good("update", "list")["updates"][0]["id"]
    documents = str(tmp_path / "documents")
    lab.good("update", "show", update, "--documents", documents)
    with open(os.path.join(documents, "manifest.json"), "rb") as file:
        manifest_bytes = file.read()
    manifest = json.loads(manifest_bytes)
    assert manifest["manifestVersion"] == "5" and manifest["updateId"]["provider"] == "acme"
    header, payload, _ = jws_parts(open(os.path.join(documents, "manifest.jws")).read())
    assert json.loads(payload)["sha256"] == b64(sha256(manifest_bytes))
    assert set(header) == {"alg", "typ", "sjwk"}
    for file in manifest["files"].values():
        assert len(base64.b64decode(file["hashes"]["sha256"])) == 32


def test_agent_once_does_a_check_in_beside_the_running_agent(lab):
    done = subprocess.run([os.path.join(BIN, "fleetseal-agent"), "--config", lab.device("dev-1")["config"], "--once"], capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_S0_15_outsiders_verify_our_jws(lab, tmp_path):
    """python3-jwcrypto and Debian's `jose` follow the chain root -> signing key -> manifest, status and order."""
    from jwcrypto import jwk, jws
    update = lab.info["update"]["id"]
    documents = str(tmp_path / "documents")
    lab.good("update", "show", update, "--documents", documents, "--device", "dev-1")
    package = json.load(open(os.path.join(documents, "root-package-1.json")))["protected"]
    for name in ("manifest.jws", "status.jws", "order.jws"):
        text = open(os.path.join(documents, name)).read()
        header, payload, _ = jws_parts(text)
        root_header, key_bytes, _ = jws_parts(header["sjwk"])
        for token, key in ((header["sjwk"], package["rootKeysExt"][root_header["kid"]]), (text, json.loads(key_bytes))):
            outsider = jws.JWS()
            outsider.deserialize(token, jwk.JWK(**key))
            assert outsider.is_valid
            (tmp_path / "key.jwk").write_text(json.dumps(key))
            done = subprocess.run(["jose", "jws", "ver", "-i-", "-k", str(tmp_path / "key.jwk")], input=token.encode(), capture_output=True)
            assert done.returncode == 0, done.stderr
        listing = package["signingKeys"][json.loads(key_bytes)["kid"]]
        spki = jwk.JWK(**json.loads(key_bytes)).export_to_pem()
        der = base64.b64decode(b"".join(spki.splitlines()[1:-1]))
        assert b64u(sha256(der)) == listing["thumbprint"]


# --- submit, approve, import: what is refused -------------------------------------------------------------------------------


def server_state(lab):
    org = os.path.join(lab.folder, "org")
    return tree_digest(os.path.join(org, "server", "content"), os.path.join(org, "sealer", "updates"))


def test_S2_26_nobody_approves_twice_or_their_own_request(lab):
    submitted = lab.submit("3.0.0", lab.path("pump-3.0.0.img", image("3.0.0")))
    lab.good("approval", "approve", submitted["requestId"], "--as", "approver1")
    lab.refused("ApprovedTwice", "approval", "approve", submitted["requestId"], "--as", "approver1")
    outcome = lab.run("approval", "approve", submitted["requestId"], "--as", "publisher")
    assert outcome.code == 3 and outcome.refusal in ("RoleMissing", "SelfApproval", "PermissionDenied")
    lab.good("approval", "reject", submitted["requestId"], "--reason", "test", "--as", "approver2")
    outcome = lab.run("approval", "approve", submitted["requestId"], "--as", "approver2")
    assert outcome.code == 3


def test_S0_5_S1_8_an_unsigned_update_gets_no_content_and_no_plan(lab):
    path = lab.path("pump-4.0.0.img", image("4.0.0"))
    submitted = lab.submit("4.0.0", path)
    before = server_state(lab)
    outcome = lab.run("update", "import", submitted["id"], path)
    assert outcome.code == 3 and outcome.refusal in ("UpdateNotSigned", "FileNotInManifest"), outcome.output
    outcome = lab.run("rollout", "plan", "--update", submitted["id"], "--device", "dev-1")
    assert outcome.code == 3 and outcome.refusal in ("UpdateNotSigned", "UpdateNotDeployable"), outcome.output
    assert server_state(lab) == before
    lab.good("approval", "reject", submitted["requestId"], "--reason", "test", "--as", "approver1")


def test_the_same_files_again_are_told_from_another_update_of_that_version(lab):
    path = lab.path("pump-5.0.0.img", image("5.0.0"))
    submitted = lab.submit("5.0.0", path)
    again = ("update", "submit", "--product", PRODUCT, "--version", "5.0.0", "--compatible", COMPATIBLE, "--file")
    error = lab.run(*again, path).json["error"]
    assert error["code"] == "VersionExists" and submitted["requestId"] in error["detail"] and "these very files" in error["detail"]
    assert "approval approve " + submitted["requestId"] in error["advice"]
    error = lab.run(*again, lab.path("pump-5.0.0-b.img", image("5.0.0-b"))).json["error"]
    assert error["code"] == "VersionExists" and "with another manifest by " + submitted["requestId"] in error["detail"]
    assert "new version" in error["advice"]
    lab.good("approval", "reject", submitted["requestId"], "--reason", "test", "--as", "approver1")


def test_the_same_version_with_other_bytes_is_refused(lab):
    outcome = lab.run("update", "submit", "--product", PRODUCT, "--version", "1.1.0", "--compatible", COMPATIBLE, "--file", lab.path("other.img", b"other"))
    assert outcome.code == 3 and outcome.refusal in ("VersionExists", "VersionTooLow"), outcome.output


def test_S1_6_uploads_that_no_signed_manifest_names_are_refused(lab):
    path = lab.path("pump-1.2.0.img", image("1.2.0"))
    submitted = lab.submit("1.2.0", path)
    lab.approve(submitted)
    before = server_state(lab)
    other = lab.path("not-in-manifest.img", image("other"))
    lab.refused("FileNotInManifest", "update", "import", submitted["id"], other)
    update = lab.good("update", "show", submitted["id"])
    file_id = update["files"][0]["fileId"]
    url = f"/admin/v1/updates/{submitted['id']}/files/{file_id}"
    content = open(path, "rb").read()
    changed = bytearray(content)
    changed[1000] ^= 1
    for body, codes in ((bytes(changed), {"FileHashMismatch"}), (content[:-1], {"FileHashMismatch", "FileTooLarge"}),
                        (content + b"x", {"FileTooLarge", "FileHashMismatch"})):
        status, _, answer = lab.as_person("publisher", "PUT", url, body, {"Content-Type": "application/octet-stream"})
        assert status >= 400 and json.loads(answer)["code"] in codes, answer
    status, _, answer = lab.as_person("publisher", "PUT", f"/admin/v1/updates/{submitted['id']}/files/f0000000000000000", content,
                                      {"Content-Type": "application/octet-stream"})
    assert status >= 400 and json.loads(answer)["code"] in ("FileNotInManifest", "NotFound"), answer
    status, _, answer = lab.as_person("auditor", "PUT", url, content, {"Content-Type": "application/octet-stream"})
    assert status == 403
    outcome = lab.run("rollout", "plan", "--update", submitted["id"], "--device", "dev-1")
    assert outcome.code == 3 and outcome.refusal == "UpdateNotDeployable", outcome.output
    after = server_state(lab)
    lab.good("update", "import", submitted["id"], path)
    assert before == after


# --- who may ask ------------------------------------------------------------------------------------------------------------


def check_in(device="dev-1", **changes):
    body = {"deviceId": device, "generation": 1, "packageVersion": 1, "phase": "idle", "agentVersion": "test"}
    body.update(changes)
    return body


def code_of(answer):
    return json.loads(answer)["code"]


def test_S0_3_S0_18_no_metadata_without_the_devices_own_certificate(lab):
    status, _, _ = lab.request(lab.info["device_url"], "POST", "/device/v1/check-in", check_in())
    assert status == 401
    status, _, answer = lab.as_device("dev-1", "POST", "/device/v1/check-in", check_in("dev-2"))
    assert status == 403 and code_of(answer) == "DeviceIdMismatch"
    status, _, answer = lab.as_device("dev-1", "POST", "/device/v1/check-in", check_in())
    assert status == 200, answer
    person = lab.info["identities"]["operator"]
    with pytest.raises((ssl.SSLError, ConnectionError)):
        lab.request(lab.info["device_url"], "POST", "/device/v1/check-in", check_in(), person["cert"], person["key"])
    device = lab.device("dev-1")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        lab.request(lab.info["admin_url"], "GET", "/admin/v1/whoami", None, device["cert"], device["key"])


def test_S0_9_S2_47_content_is_for_the_device_of_the_order_only(lab):
    path = lab.path("pump-1.3.0.img", image("1.3.0"))
    update = lab.release("1.3.0", path)
    assert lab.watch(lab.roll_out(update, "dev-1")) == {"dev-1": "installed"}
    sealed = lab.good("update", "show", update)["files"][0]["sealedSha256"]
    name = unb64u(sealed).hex() if len(sealed) == 43 else sealed
    status, _, _ = lab.request(lab.info["device_url"], "GET", f"/content/v1/{name}")
    assert status == 401
    status, _, _ = lab.as_device("dev-2", "GET", f"/content/v1/{name}")
    assert status in (403, 404)


def test_malformed_requests_are_refused_with_a_code(lab):
    for body in (b"", b"{", b"[]", b'{"deviceId":"dev-1","deviceId":"dev-1"}', json.dumps({**check_in(), "x": 1}).encode(), b"[" * 5000):
        status, headers, answer = lab.as_device("dev-1", "POST", "/device/v1/check-in", body, {"Content-Type": "application/json"})
        assert status == 400 and headers["Content-Type"] == "application/problem+json", (body[:50], status, answer)
        assert code_of(answer)
    for path in ("/content/v1/../../etc/passwd", "/content/v1/%2e%2e/x", "/log/../org", "/log/%2e%2e/x"):
        status, _, _ = lab.as_device("dev-1", "GET", path)
        assert status in (400, 403, 404), path


def test_S0_2_S0_8_S0_16_S0_17_only_modern_tls_is_spoken(lab):
    for url in (lab.info["device_url"], lab.info["admin_url"]):
        parts = urlsplit(url)
        for greatest in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            context = lab.context(least=ssl.TLSVersion.MINIMUM_SUPPORTED, greatest=greatest)
            context.set_ciphers("ALL:@SECLEVEL=0")
            with pytest.raises((ssl.SSLError, ConnectionError)):
                with socket.create_connection((parts.hostname, parts.port), 10) as raw:
                    context.wrap_socket(raw, server_hostname=parts.hostname)
        with socket.create_connection((parts.hostname, parts.port), 10) as raw:
            raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            try:
                while piece := raw.recv(4096):
                    answer += piece
            except ConnectionError:
                pass
            assert b"HTTP/1" not in answer


def test_S0_16_a_configuration_without_tls_is_refused(lab, tmp_path):
    text = open(lab.device("dev-1")["config"]).read()
    for changed in (text.replace("https://", "http://"), text + "\nverify = false\n", text + "\ninsecure = true\n"):
        config = tmp_path / "agent.toml"
        config.write_text(changed)
        done = subprocess.run([os.path.join(BIN, "fleetseal-agent"), "--config", str(config), "--once"], capture_output=True, text=True)
        assert done.returncode == 2, done.stdout + done.stderr
        assert "ConfigInvalid" in done.stdout + done.stderr


# --- revoked, suspended, unknown ---------------------------------------------------------------------------------------------


def test_S0_3_a_suspended_device_is_refused_until_it_is_resumed(lab):
    lab.good("device", "suspend", "dev-2", "--reason", "test")
    status, _, answer = lab.as_device("dev-2", "POST", "/device/v1/check-in", check_in("dev-2"))
    assert status == 403 and code_of(answer) == "DeviceSuspended"
    update = lab.good("update", "list")["updates"]
    deployable = next(row for row in update if row["state"] == "deployable")
    plan = lab.plan(deployable["id"], "dev-2") if lab.run("rollout", "plan", "--update", deployable["id"], "--device", "dev-2").code == 0 else None
    if plan:
        answer = lab.good("rollout", "start", plan)
        assert answer["orders"] == 0 and answer["failed"][0]["code"] == "DeviceSuspended"
    lab.good("device", "resume", "dev-2", "--reason", "test")
    status, _, _ = lab.as_device("dev-2", "POST", "/device/v1/check-in", check_in("dev-2"))
    assert status == 200


def test_unknown_devices_get_no_plan(lab):
    deployable = next(row for row in lab.good("update", "list")["updates"] if row["state"] == "deployable")
    lab.refused("DeviceUnknown", "rollout", "plan", "--update", deployable["id"], "--device", "dev-99")


def test_S0_3_a_revoked_device_is_refused_for_good(lab):
    lab.good("device", "revoke", "dev-2", "--reason", "test")
    status, _, answer = lab.as_device("dev-2", "POST", "/device/v1/check-in", check_in("dev-2"))
    assert status == 403 and code_of(answer) == "DeviceRevoked"


# --- on the wire and on the disk ---------------------------------------------------------------------------------------------


class Recorder:
    """A TCP relay that keeps every byte both ways."""

    def __init__(self, url):
        parts = urlsplit(url)
        self.target = (parts.hostname, parts.port)
        self.seen = bytearray()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self.copy, args=(source, sink), daemon=True).start()

    def copy(self, source, sink):
        try:
            while data := source.recv(65536):
                self.seen += data
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


def agent_with(lab, tmp_path, url, ca=None, environment=None):
    """Runs --once with the device's own identity against another address."""
    text = open(lab.device("dev-1")["config"]).read().replace(lab.info["device_url"], url)
    for member, path in (("server_ca", ca), ("work_directory", tmp_path / "work")):
        if path:
            text, count = re.subn(f"^{member} = .*$", f'{member} = "{path}"', text, flags=re.M)
            assert count == 1, text
    config = tmp_path / "agent.toml"
    config.write_text(text)
    return subprocess.run([os.path.join(BIN, "fleetseal-agent"), "--config", str(config), "--once"], capture_output=True, text=True, timeout=120,
                          env={**os.environ, **(environment or {})}, preexec_fn=become_agent(lab))


def become_agent(lab):
    uid = os.stat(lab.device("dev-1")["config"]).st_uid

    def change():
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
    return change


@pytest.fixture
def open_path(tmp_path):
    folder = tmp_path
    while str(folder) != "/":
        if os.stat(folder).st_uid == os.geteuid():
            os.chmod(folder, os.stat(folder).st_mode | 0o711)
        folder = folder.parent
    os.chmod(tmp_path, 0o777)
    return tmp_path


def test_S0_8_S0_9_the_plain_image_is_neither_on_the_wire_nor_on_the_servers_disk(lab, open_path):
    recorder = Recorder(lab.info["device_url"])
    path = lab.path("pump-1.4.0.img", image("1.4.0", 500_000))
    update = lab.release("1.4.0", path)
    with lab.held_agent("dev-1"):
        lab.roll_out(update, "dev-1")
        done = agent_with(lab, open_path, f"https://127.0.0.1:{recorder.port}")
        assert done.returncode == 0, done.stdout + done.stderr + lab.logs()
    assert active_bytes(lab, "dev-1", 500_000 + len(MARKER)) == image("1.4.0", 500_000)
    assert len(recorder.seen) > 500_000
    assert MARKER not in recorder.seen
    for path in files_below(os.path.join(lab.folder, "org")):
        with open(path, "rb") as file:
            assert MARKER not in file.read(), path


def rogue_server(folder):
    """A server with a certificate for 127.0.0.1 by a CA that is not ours."""
    ca_key, ca = os.path.join(folder, "ca.key"), os.path.join(folder, "ca.crt")
    key, request, cert = (os.path.join(folder, name) for name in ("s.key", "s.csr", "s.crt"))
    run = lambda *arguments: subprocess.run(["openssl", *arguments], check=True, capture_output=True)  # noqa: E731
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", ca_key, "-out", ca, "-days", "3", "-subj", "/CN=rogue")
    run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request, "-subj", "/CN=127.0.0.1")
    extensions = os.path.join(folder, "ext")
    with open(extensions, "w") as file:
        file.write("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
    run("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-out", cert, "-days", "2", "-extfile", extensions)
    for name in os.listdir(folder):
        os.chmod(os.path.join(folder, name), 0o644)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                raw, _ = listener.accept()
                with context.wrap_socket(raw, server_side=True) as peer:
                    peer.recv(4096)
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            except OSError:
                continue

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1], ca


def test_S0_11_check_1_a_server_of_another_ca_is_refused_even_if_the_system_trusts_it(lab, open_path):
    folder = open_path / "rogue"
    folder.mkdir()
    port, rogue_ca = rogue_server(str(folder))
    with lab.held_agent("dev-1"):
        before = lab.trust("dev-1")
        done = agent_with(lab, open_path, f"https://127.0.0.1:{port}", environment={"SSL_CERT_FILE": rogue_ca, "CURL_CA_BUNDLE": rogue_ca})
        assert done.returncode == 4, done.stdout + done.stderr
        assert "TlsFailed" in done.stdout + done.stderr
        assert lab.trust("dev-1") == before


def test_S1_15_S1_22_the_installer_has_no_network_and_no_signing_key(lab):
    libraries = subprocess.run(["ldd", os.path.join(BIN, "fleetseal-installer")], capture_output=True, text=True, check=True).stdout
    assert "libcurl" not in libraries and "libssl" not in libraries
    pid = lab.status()["devices"][0]["installer_pid"]
    inodes = set()
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    for table in ("tcp", "tcp6", "udp", "udp6"):
        with open(f"/proc/net/{table}") as file:
            assert not inodes & {line.split()[9] for line in file.readlines()[1:]}
    home = lab.device_home("dev-1")
    keys = [name for root, _, files in os.walk(home) for name in files if name.endswith((".pem", ".key"))]
    assert sorted(keys) == ["encryption-key.pem", "receipt-key.pem"]


def test_S1_20_S1_21_the_service_holds_no_root_key(lab):
    for folder in ("signer", "sealer", "server", "log", "run"):
        for path in files_below(os.path.join(lab.folder, "org", folder)):
            with open(path, "rb") as file:
                assert b"PRIVATE KEY" not in file.read() or path.endswith("/server.key"), path


# --- the three attacks that need a real order ---------------------------------------------------------------------------------


def test_S0_10_check_5_the_order_of_dev_1_does_nothing_on_another_device(lab, tmp_path):
    update = next(row for row in lab.good("update", "list")["updates"] if row["version"] == "1.4.0")
    documents = str(tmp_path / "documents")
    lab.good("update", "show", update["id"], "--documents", documents, "--device", "dev-1")
    before = lab.trust("dev-2"), active_bytes(lab, "dev-2", 1000)
    outcome = lab.run("lab", "offer", "--dir", lab.folder, "--device", "dev-2", "--documents", documents)
    assert outcome.code == 3 and outcome.refusal == "OrderNotForThisDevice", outcome.output
    after = lab.trust("dev-2"), active_bytes(lab, "dev-2", 1000)
    assert before[1] == after[1]
    assert {name: value for name, value in before[0].items() if name not in ("status", "timeFloor")} == {
        name: value for name, value in after[0].items() if name not in ("status", "timeFloor")}


def test_X2_check_7_an_older_release_is_refused_on_the_device(lab):
    update = next(row for row in lab.good("update", "list")["updates"] if row["version"] == "1.0.0")
    before = active_bytes(lab, "dev-1", 1000)
    plan = lab.roll_out(update["id"], "dev-1")
    assert lab.watch(plan) == {"dev-1": "RollbackRefused"}
    ended = lab.run("rollout", "watch", plan)
    assert ended.code == 3 and "error RollbackRefused" in ended.error and "RollbackRefused on dev-1" in ended.error, ended.error
    assert active_bytes(lab, "dev-1", 1000) == before


def test_lab_down_ends_every_process(lab):
    pids = list(lab.status()["pids"].values()) + [device["agent_pid"] for device in lab.status()["devices"]]
    lab.good("lab", "down", "--dir", lab.folder)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids if pid)
    shutil.rmtree(lab.folder)
