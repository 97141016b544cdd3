"""An independent reader of Azure Device Update documents, with python3-cryptography and the standard library only.

Written from the rules of the reference ADU, sections 2 to 4, to the letter: what that agent does, also where it does
less than one would wish (no date, no rollback, `alg` of a package signature ignored). Nothing here imports or calls the
product. Outcomes carry that agent's names.
"""
import base64
import hashlib
import json
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class Refused(Exception):
    """`outcome` is the agent's name for it."""

    def __init__(self, outcome, detail=""):
        super().__init__(f"{outcome}: {detail}")
        self.outcome = outcome


def unb64u(text):
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise ValueError("not base64url")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def unb64(text):
    """Standard alphabet; padding only where it is due."""
    if not re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", text):
        raise ValueError("not standard base64")
    return base64.b64decode(text + "=" * (-len(text) % 4) if not text.endswith("=") else text, validate=True)


def no_duplicates(pairs):
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("a member twice")
    return dict(pairs)


def parse(text):
    """JSON that keeps the order of members; a member twice fails (3.3)."""
    return json.loads(text, object_pairs_hook=no_duplicates)


def rsa_key(n, e=65537):
    return rsa.RSAPublicNumbers(e, int.from_bytes(n, "big")).public_key()


def verifies(key, signature, data):
    """RSASSA-PKCS1-v1_5 with SHA-256 (2.6)."""
    try:
        key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        return True
    except InvalidSignature:
        return False


def pkcs1_hash(key):
    """SHA-256 over the DER of RSAPublicKey, not of SubjectPublicKeyInfo (3.7)."""
    return hashlib.sha256(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)).digest()


def minified(value):
    """`protected` as the agent's serialiser writes it: no white space, own order, `/` as `\\/` (3.3)."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.replace("/", "\\/").encode()


class Reader:
    """`hardcoded`: {kid: RSA public key}, what is compiled into an agent."""

    def __init__(self, hardcoded, is_test=False):
        self.hardcoded = hardcoded
        self.is_test = is_test
        self.protected = None  # of the stored package

    @classmethod
    def with_roots(cls, text):
        return cls({kid: rsa_key(unb64u(root["n"]), root["e"]) for kid, root in parse(text).items()})

    # --- section 3 ---------------------------------------------------------------------------------------------------

    def take_package(self, text):
        try:
            document = parse(text)
            protected, signatures = document["protected"], document["signatures"]
            self.check_members(protected, signatures)
        except (ValueError, KeyError, TypeError) as problem:
            raise Refused("ParseFailed", str(problem)) from problem
        data = minified(protected)
        names = list(protected["rootKeys"])
        for kid, key in self.hardcoded.items():
            # 3.4: the place among the members of rootKeys is the place among the signatures.
            if kid not in names or names.index(kid) >= len(signatures):
                raise Refused("SignatureMissing", kid)
            if not verifies(key, unb64u(signatures[names.index(kid)]["sig"]), data):
                raise Refused("SignatureInvalid", kid)
        if protected.get("isTest", False) != self.is_test:
            raise Refused("TestPackage")
        self.protected = protected

    @staticmethod
    def check_members(protected, signatures):
        def number(name):
            if isinstance(protected[name], bool) or not isinstance(protected[name], (int, float)) or protected[name] <= 0:
                raise ValueError(name)
        number("version")
        number("published")
        if not isinstance(protected.get("isTest", False), bool):
            raise ValueError("isTest")
        if not all(isinstance(kid, str) for kid in protected["disabledRootKeys"]):
            raise ValueError("disabledRootKeys")
        for entry in protected["disabledSigningKeys"]:
            if entry["alg"] not in ("SHA256", "SHA384", "SHA512"):
                raise ValueError("disabledSigningKeys")
            unb64u(entry["hash"])
        if not protected["rootKeys"] or not signatures:
            raise ValueError("empty")
        for root in protected["rootKeys"].values():
            if root["keyType"] != "RSA" or not isinstance(root["e"], int):
                raise ValueError("rootKeys")
            unb64u(root["n"])
        for signature in signatures:
            if signature["alg"] not in ("RS256", "RS384", "RS512"):
                raise ValueError("signatures")
            unb64u(signature["sig"])

    def root(self, kid):
        """3.6"""
        if self.protected is None:
            raise Refused("InvalidRootKid", "no stored package")
        if kid in self.protected["disabledRootKeys"]:
            raise Refused("DisallowedRootKid", kid)
        if kid in self.hardcoded:
            return self.hardcoded[kid]
        if kid not in self.protected["rootKeys"]:
            raise Refused("InvalidRootKid", kid)
        root = self.protected["rootKeys"][kid]
        return rsa_key(unb64u(root["n"]), root["e"])

    # --- section 2 ---------------------------------------------------------------------------------------------------

    @staticmethod
    def split(compact):
        parts = compact.split(".")
        if len(parts) != 3 or not all(parts):
            raise Refused("BadStructure")
        try:
            return [unb64u(part) for part in parts], ".".join(parts[:2]).encode()
        except ValueError as problem:
            raise Refused("BadStructure", str(problem)) from problem

    @staticmethod
    def header(data):
        try:
            header = parse(data)
            if header["alg"].upper() != "RS256":
                raise ValueError(header["alg"])
            return header
        except (ValueError, KeyError, AttributeError) as problem:
            raise Refused("InvalidEncodingJWSHeader", str(problem)) from problem

    def signing_key(self, sjwk):
        """2.8: kid, root, signature of the root, disabled keys, then the key itself."""
        (head, payload, signature), signed = self.split(sjwk)
        kid = self.header(head).get("kid")
        if not kid:
            raise Refused("MissingRootKid")
        if not verifies(self.root(kid), signature, signed):
            raise Refused("InvalidSignature", "sjwk")
        try:
            jwk = parse(payload)
            assert jwk["kty"] == "RSA" and jwk["e"] == "AQAB" and jwk["alg"].upper() == "RS256"
            # 2.5: built with a decoder of the standard alphabet.
            key = rsa_key(unb64(jwk["n"]))
        except (ValueError, KeyError, AssertionError) as problem:
            raise Refused("InvalidSJWKPayload", str(problem)) from problem
        for entry in self.protected["disabledSigningKeys"]:
            if entry["alg"] == "SHA256" and unb64u(entry["hash"]) == pkcs1_hash(key):
                raise Refused("DisallowedSigningKey", jwk.get("kid", ""))
        return key, jwk.get("kid")

    def verify_signature(self, compact):
        """(payload, kid of the signing key)"""
        (head, payload, signature), signed = self.split(compact)
        header = self.header(head)
        if not isinstance(header.get("sjwk"), str):
            raise Refused("BadStructure", "no sjwk")
        key, kid = self.signing_key(header["sjwk"])
        if not verifies(key, signature, signed):
            raise Refused("InvalidSignature")
        return parse(payload), kid

    # --- section 4, steps 4 and 5 ------------------------------------------------------------------------------------

    def verify_manifest(self, manifest, compact):
        payload, _ = self.verify_signature(compact)
        if base64.b64encode(hashlib.sha256(manifest.encode()).digest()).decode() != payload.get("sha256"):
            raise Refused("ManifestHashMismatch")
        parsed = parse(manifest)
        if int(parsed["manifestVersion"]) not in (4, 5):
            raise Refused("ManifestVersion")
        return parsed
