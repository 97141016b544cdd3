"""A sealed file opens with an independent implementation: documents.md section 6, written again in Python.

The golden bytes are the ones that src/sealing/sealing_test.cc reproduces (kGoldenHex).
"""

import hashlib
import pathlib
import re
import struct

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

TEST_SOURCE = pathlib.Path(__file__).resolve().parents[2] / "src" / "sealing" / "sealing_test.cc"
UPDATE_KEY = bytes(range(0x10, 0x30))
MANIFEST_SHA256 = hashlib.sha256(b"manifest").digest()
FILE_ID = b"f0123456789abcdef"


def golden():
    match = re.search(r'kGoldenHex =((?:\s*"[0-9a-f]+")+);', TEST_SOURCE.read_text())
    return bytes.fromhex("".join(re.findall(r'"([0-9a-f]+)"', match.group(1))))


def open_sealed(sealed, update_key=UPDATE_KEY, manifest_sha256=MANIFEST_SHA256, file_id=FILE_ID):
    header = sealed[:40]
    magic, version, segment_size, plain_size, seal_id = struct.unpack(">8sIIQ16s", header)
    assert (magic, version, segment_size) == (b"FLTSEAL\0", 1, 65536)
    info = b"fleetseal file v1\0" + manifest_sha256 + file_id
    key = HKDF(algorithm=hashes.SHA256(), length=32, salt=seal_id, info=info).derive(update_key)
    count = max(1, -(-plain_size // segment_size))
    plain, at = b"", 40
    for index in range(count):
        is_last = index == count - 1
        size = plain_size - index * segment_size if is_last else segment_size
        nonce = bytes(7) + struct.pack(">IB", index, is_last)
        plain += AESGCM(key).decrypt(nonce, sealed[at : at + size + 16], header)
        at += size + 16
    assert at == len(sealed) and len(plain) == plain_size
    return plain


def test_golden_file_opens():
    assert open_sealed(golden()) == b"fleetseal golden plain text\n"


@pytest.mark.parametrize(
    "other",
    [{"update_key": bytes(32)}, {"manifest_sha256": bytes(32)}, {"file_id": b"f0123456789abcdee"}],
)
def test_every_input_of_the_key_counts(other):
    with pytest.raises(InvalidTag):
        open_sealed(golden(), **other)


def test_the_header_is_authenticated():
    sealed = bytearray(golden())
    sealed[39] ^= 1
    with pytest.raises(InvalidTag):
        open_sealed(bytes(sealed))
