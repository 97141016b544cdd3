"""Every parser of bytes that may come from somebody else is fuzzed: a new one must be added to a target, or named here with the reason."""
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# A type or function of a public header that reads texts or bytes.
PARSER = re.compile(r"Result<([^;{}]*?)> ((?:Parse|FromJson|Decode|From[A-Z]\w*(?:Der|Pem|Answer))\w*)\(([^)]*)\)")
READS = re.compile(r"string_view|ByteView|Json|Bytes|string&")
ELSEWHERE = {
    "crypto/key.h FromEncryptedPem": "the operator's own file; its work factor is the input's to choose",
    "agent/config/config.h ParseConfig": "behind LoadConfig",
    "installer/config/config.h ParseConfig": "behind LoadConfig",
    "installer/config/config.h ParseDevice": "behind LoadProvisioning and Bundle",
    "trust/device_profile.h ParseDeviceDescription": "behind LoadProvisioning and Bundle",
    "manifest/register_change.h ParseContinueAfterRestore": "a member of SecurityReplacement",
    "manifest/common.h ParseWindow": "a member of Order and Plan",
    "manifest/status.h ParseNewest": "a member of StatusDocument",
    "manifest/fields.h ParsePayload": "of every payload",
    "api/admin/wire.h ParseAnswerText": "behind ParseSingleText's callers, the bodies of the admin API",
    "api/admin/wire.h ParseSingleText": "of the bodies of the admin API",
    "codec/base64.h DecodeBase64UrlSha256": "DecodeBase64Url and a length",
    "signer/people.h ClaimedDocument": "UnverifiedJws, in every request of the signer target",
    "signer/security_keys.h ParseSecurityKeys": "a row of the signer's own database",
    "log/log.h ParseLevel": "a word of the operator's configuration",
    "base/ids.h Id": "DeviceId and its like",
}


def parsers():
    for folder, _, names in os.walk(os.path.join(ROOT, "src")):
        if "testing" in folder:
            continue
        for name in names:
            if not name.endswith(".h"):
                continue
            path = os.path.join(folder, name)
            with open(path) as file:
                text = file.read()
            for result, function, arguments in PARSER.findall(text):
                if READS.search(arguments):
                    kind = re.sub(r".*<|>.*", "", result).split("::")[-1].split()[-1]
                    yield os.path.relpath(path, os.path.join(ROOT, "src")), kind if function in ("Parse", "FromJson") else function


def test_S1_33_every_parser_is_fuzzed():
    fuzzed = ""
    for name in os.listdir(os.path.join(ROOT, "fuzz")):
        if name.endswith("_fuzz.cc"):
            with open(os.path.join(ROOT, "fuzz", name)) as file:
                fuzzed += file.read()
    found = sorted(set(parsers()))
    assert len(found) > 80, found
    missing = [f"{path} {name}" for path, name in found if not re.search(rf"\b{name}\b", fuzzed)]
    assert [one for one in missing if one not in ELSEWHERE] == []
    assert sorted(set(ELSEWHERE) - set(missing)) == [], "no longer needed here"
