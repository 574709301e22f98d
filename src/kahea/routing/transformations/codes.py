"""`{s.encode....}`, `{s.decode....}` and the digests: other writings of the same bytes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable

from kahea.routing.module import Value
from kahea.routing.pv.chain import Transformation
from kahea.routing.transformations.keccak import keccak

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_VALUES = {c: i for i, c in enumerate(_BASE58)}
_BASE58_LIMIT = 2048  # characters; the work grows with the square


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def _encode_hexa(text: str) -> Value:
    return _bytes(text).hex()


def _decode_hexa(text: str) -> Value:
    """Two digits a byte; a last odd digit is dropped."""
    try:
        return _text(bytes.fromhex(text[: len(text) & ~1])) if " " not in text else None
    except ValueError:
        return None


def _encode_7bit(text: str) -> Value:
    """Septets packed from the low bit on, as in short messages (3GPP TS 23.038), in hexadecimal."""
    data = _bytes(text) + b"\0"
    out = bytearray()
    for i in range(len(data) - 1):
        shift = i % 8
        if shift < 7:
            out.append((data[i] >> shift | data[i + 1] << (7 - shift)) & 0xFF)
    return out.hex().upper()


def _decode_7bit(text: str) -> Value:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        return None
    packed = int.from_bytes(data, "little")
    septets = bytes(packed >> 7 * i & 0x7F for i in range(len(data) * 8 // 7))
    return _text(septets[:-1] if len(septets) % 8 == 0 and septets.endswith(b"\0") else septets)


def _encode_base58(text: str) -> Value:
    if len(text) > _BASE58_LIMIT:
        return None
    data = _bytes(text)
    number = int.from_bytes(data, "big")
    digits: list[str] = []
    while number:
        number, rest = divmod(number, 58)
        digits.append(_BASE58[rest])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(digits))


def _decode_base58(text: str) -> Value:
    if len(text) > _BASE58_LIMIT:
        return None
    number = 0
    for char in text:
        value = _BASE58_VALUES.get(char)
        if value is None:
            return None
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip("1"))
    return _text(b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _encode_base64(url: bool, pad: bool) -> Callable[[str], Value]:
    encode = base64.urlsafe_b64encode if url else base64.b64encode

    def apply(text: str) -> Value:
        coded = _text(encode(_bytes(text)))
        return coded if pad else coded.rstrip("=")

    return apply


def _decode_base64(url: bool, pad: bool) -> Callable[[str], Value]:
    def apply(text: str) -> Value:
        if pad and len(text) % 4:
            return None
        if url:
            text = text.translate({45: 43, 95: 47})
        bare = text.rstrip("=")
        try:
            return _text(binascii.a2b_base64(_bytes(bare + "=" * (-len(bare) % 4)), strict_mode=True))
        except (binascii.Error, ValueError):
            return None

    return apply


def _digest(name: str) -> Callable[[str], Value]:
    return lambda text: hashlib.new(name, _bytes(text), usedforsecurity=False).hexdigest()


def _sized(family: str) -> tuple[Callable[..., Value], Callable[..., object]]:
    """A digest whose size in bits is its parameter (256 if none), and the check of that parameter."""
    sizes = ("224", "256", "384", "512")

    def apply(text: str, bits: str = "256") -> Value:
        if bits not in sizes:
            return None
        if family == "keccak":
            return keccak(_bytes(text), int(bits)).hex()
        return hashlib.new(f"sha3_{bits}", _bytes(text)).hexdigest()

    def check(bits: object = "256") -> None:
        if isinstance(bits, str) and bits not in sizes:
            raise ValueError(f"the size is one of {', '.join(sizes)}")

    return apply, check


def _sized_transformation(family: str) -> Transformation:
    apply, check = _sized(family)
    return Transformation(f"s.{family}", apply, ("str?",), check=check)


def _t(name: str, apply: Callable[..., Value]) -> Transformation:
    return Transformation(f"s.{name}", apply)


CODES: tuple[Transformation, ...] = (
    _t("encode.hexa", _encode_hexa),
    _t("decode.hexa", _decode_hexa),
    _t("encode.7bit", _encode_7bit),
    _t("decode.7bit", _decode_7bit),
    _t("encode.base58", _encode_base58),
    _t("decode.base58", _decode_base58),
    *(
        _t(
            f"{way}.base64{'url' if url else ''}{'' if pad else 't'}",
            make(url, pad and not (url and way == "decode")),
        )
        for way, make in (("encode", _encode_base64), ("decode", _decode_base64))
        for url in (False, True)
        for pad in (True, False)
    ),
    *(_t(name, _digest(name)) for name in ("md5", "sha1", "sha256", "sha384", "sha512")),
    _t("crc32", lambda text: str(zlib.crc32(_bytes(text)))),
    _sized_transformation("keccak"),
    _sized_transformation("sha3"),
)
