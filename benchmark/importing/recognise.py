"""Recognise files that are no published checkpoint of a method, by their first bytes and their names."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """A file format that is not torch's. pattern: of its first bytes, or of its name."""

    pattern: bytes | str
    name: str


FORMATS = (
    Format(rb"\x89HDF\r\n", "an HDF5 file, as Keras and TensorFlow write them"),
    Format(rb".{4}TFL3", "a TensorFlow Lite model"),
    Format(rb"GGUF", "a GGUF file"),
    Format(rb"\x1f\x8b", "a gzip archive: unpack it"),
    Format(rb"7z\xbc\xaf|Rar!", "an archive: unpack it"),
    Format(rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF.{4}WEBP", "a picture"),
    Format(rb"%PDF", "a PDF"),
    Format(r"\.data-\d+-of-\d+$|\.index$|\.meta$|^checkpoint$|\.pb$", "a checkpoint of TensorFlow"),
    Format(r"\.onnx$", "an ONNX model"),
    Format(r"\.pdparams$", "a checkpoint of PaddlePaddle"),
)
OF_TORCH = "only what torch.save or safetensors has written can be imported"


@dataclass(frozen=True)
class OtherImplementation:
    """Published code of other networks. names: patterns, each of which a name in its files matches."""

    name: str
    names: tuple[str, ...]


OTHER_IMPLEMENTATIONS = (
    OtherImplementation("StarGAN v2 (clovaai/stargan-v2)", (r"(from_rgb|to_rgb\.\d)\.", r"decode\.\d+\.norm1\.fc\.")),
    OtherImplementation("StarGAN v2 (clovaai/stargan-v2)", (r"shared\.\d", r"unshared\.\d+\.")),
    OtherImplementation("GANimation of donydchen/ganimation_replicate", (r"(color_top|au_top)\.",)),
    OtherImplementation("GANimation of vipermu/ganimation", (r"im_(reg|att)\.",)),
    OtherImplementation("StarGAN of eveningglow/StarGAN-pytorch", (r"bottle_neck\.\d+\.res_block\.",)),
    OtherImplementation(
        "a ResNet generator as in StarGAN of eriklindernoren/PyTorch-GAN, or in CycleGAN",
        (r"model\.\d+\.conv_block\.\d+\.",),
    ),
)


def format_of(name: str, head: bytes) -> str:
    """Name the format of a file by its name and its first 512 bytes; "" where it may be torch's."""
    for entry in FORMATS:
        matches = (
            re.match(entry.pattern, head, re.DOTALL)
            if isinstance(entry.pattern, bytes)
            else re.search(entry.pattern, name)
        )
        if matches:
            return entry.name
    return ""


def archive_of(names: Collection[str]) -> str:
    """Name the format of a zip file by the names in it; "" where it may be torch's."""
    if any(name.endswith(".npy") for name in names):
        return "an archive of NumPy arrays"
    if any(name.endswith("/constants.pkl") for name in names):
        return "a TorchScript program, which would run"
    if any(name.endswith(".h5") for name in names):
        return "a model of Keras"
    return "" if any(name.endswith("data.pkl") for name in names) else "a zip archive: unpack it"


def other_implementation(names: Collection[str]) -> str:
    """Name the other implementation that writes state dicts with these names; "" where it is unknown."""
    for other in OTHER_IMPLEMENTATIONS:
        if all(any(re.match(pattern, name) for name in names) for pattern in other.names):
            return other.name
    return ""
