"""Keys and signatures that come out the same each time, so that a corpus made twice is the same byte for byte.

A key follows from its name alone: such keys protect nothing and exist in tests only. ECDSA signatures are those of RFC 6979.
"""
import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from documents import Key, sha256

ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
SMALL_PRIMES = [number for number in range(3, 2000, 2) if all(number % other for other in range(3, int(number ** 0.5) + 1, 2))]


def stream(name, count):
    """`count` bytes that follow from the name."""
    pieces = [sha256(f"fleetseal refusals, {name}, {number}") for number in range((count + 31) // 32)]
    return b"".join(pieces)[:count]


def is_prime(number):
    if any(number % prime == 0 for prime in SMALL_PRIMES):
        return False
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7, 11, 13):
        value = pow(base, odd, number)
        if value in (1, number - 1):
            continue
        for _ in range(twos - 1):
            value = value * value % number
            if value == number - 1:
                break
        else:
            return False
    return True


def prime_of(name, bits):
    number = int.from_bytes(stream(name, bits // 8), "big") | 3 << (bits - 2) | 1
    while number % 65537 == 1 or not is_prime(number):
        number += 2
    return number


class FixedKey(Key):
    @classmethod
    def p256(cls, name):
        secret = int.from_bytes(stream(name, 40), "big") % (ORDER - 1) + 1
        return cls(ec.derive_private_key(secret, ec.SECP256R1()))

    @classmethod
    def ed25519(cls, name):
        return cls(ed25519.Ed25519PrivateKey.from_private_bytes(stream(name, 32)))

    @classmethod
    def rsa(cls, name, bits=2048):
        p, q = prime_of(name + ", p", bits // 2), prime_of(name + ", q", bits // 2)
        p, q = max(p, q), min(p, q)
        d = pow(65537, -1, (p - 1) * (q - 1))
        public = rsa.RSAPublicNumbers(65537, p * q)
        return cls(rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public).private_key())

    def sign(self, data):
        data = data if isinstance(data, bytes) else data.encode()
        if self.alg != "ES256":
            return super().sign(data)
        return self.sign_es256(data)

    def sign_es256(self, data):
        secret = self.private.private_numbers().private_value
        digest = sha256(data)
        number = int.from_bytes(digest, "big")
        once = nonce(secret, number)
        r = ec.derive_private_key(once, ec.SECP256R1()).public_key().public_numbers().x % ORDER
        s = pow(once, -1, ORDER) * (number + r * secret) % ORDER
        return r.to_bytes(32, "big") + min(s, ORDER - s).to_bytes(32, "big")


def nonce(secret, number):
    """RFC 6979 section 3.2 for P-256 and SHA-256."""
    def mac(key, data):
        return hmac.new(key, data, hashlib.sha256).digest()

    seed = secret.to_bytes(32, "big") + (number % ORDER).to_bytes(32, "big")
    value, key = b"\x01" * 32, b"\x00" * 32
    for separator in (b"\x00", b"\x01"):
        key = mac(key, value + separator + seed)
        value = mac(key, value)
    while True:
        value = mac(key, value)
        once = int.from_bytes(value, "big")
        if 1 <= once < ORDER:
            return once
        key = mac(key, value + b"\x00")
        value = mac(key, value)
