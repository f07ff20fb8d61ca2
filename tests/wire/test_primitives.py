"""X25519 and ChaCha20-Poly1305: two libraries, one behaviour, so that either may serve."""

from __future__ import annotations

import cryptography
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from meshbox.wire import primitives
from meshbox.wire.primitives import Cipher, NoiseError, SodiumCipher

KEY, NONCE = bytes(range(32)), bytes(12)
PRIVATE, OTHER = bytes([0x11]) * 32, bytes([0x22]) * 32
# From the test vector of the control protocol.
PUBLIC = bytes.fromhex("7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13")
OTHER_PUBLIC = bytes.fromhex("0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20")
# Points of small order: whatever our private key is, the product is zero.
LOW_ORDER = (
    bytes(32),
    (1).to_bytes(32, "little"),
    (2**255 - 20).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
)
EXCHANGES = (primitives.openssl_exchange, primitives.sodium_exchange)


# Records are sealed from views; old releases take none, and are passed over.
IS_FAST = int(cryptography.__version__.split(".")[0]) >= primitives.FIRST_FAST_CRYPTOGRAPHY


def test_both_libraries_derive_the_same_keys() -> None:
    for public_of in (primitives.openssl_public_of, primitives.sodium_public_of):
        assert (public_of(PRIVATE), public_of(OTHER)) == (PUBLIC, OTHER_PUBLIC)
    secrets = {
        exchange(*pair) for exchange in EXCHANGES for pair in ((PRIVATE, OTHER_PUBLIC), (OTHER, PUBLIC))
    }
    assert len(secrets) == 1


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("point", LOW_ORDER)
def test_points_of_low_order_are_refused(exchange: primitives.Exchange, point: bytes) -> None:
    with pytest.raises(NoiseError, match="low order"):
        exchange(PRIVATE, point)


@pytest.mark.parametrize("extra", [None, b"", b"hash"])
@pytest.mark.parametrize("text", [b"", b"abc", bytes(4077)])
def test_both_libraries_seal_and_open_alike(text: bytes, extra: bytes | None) -> None:
    boxes: tuple[Cipher, ...] = (ChaCha20Poly1305(KEY), SodiumCipher(KEY))
    data = memoryview(text) if IS_FAST else text
    one, other = (box.encrypt(NONCE, data, extra) for box in boxes)
    assert one == other
    for box in boxes:
        assert primitives.unseal(box, NONCE, one, extra) == text
        with pytest.raises(NoiseError):
            primitives.unseal(box, NONCE, one[:-1] + bytes([one[-1] ^ 1]), extra)
        with pytest.raises(NoiseError):
            primitives.unseal(box, NONCE, one, b"another")


def test_old_releases_of_cryptography_are_passed_over() -> None:
    assert isinstance(primitives.cipher(KEY), ChaCha20Poly1305 if IS_FAST else SodiumCipher)
    assert primitives.exchange is EXCHANGES[not IS_FAST]
