"""Files as the published implementations save them, made of networks of ours.

Written down here a second time, from the published code: names come from each method's map, which other tests hold to
the published lists; how they are kept in a file does not.
"""

from __future__ import annotations

import pickle
import types
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import torch
from torch import Tensor, nn

from benchmark.interface import Method
from benchmark.published import parameter

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
NORMS_OF_SDU = ("afiuint.BN_r", "afiuint.BN_s")


def state_dict(network: nn.Module, names: Mapping[str, str]) -> OrderedDict[str, Tensor]:
    """The network's parameters under published names, in published shapes: 1x1 convolutions and 1 x C x 1 norms."""
    collected = OrderedDict()
    for theirs, ours in names.items():
        tensor = parameter(network, ours).detach().clone().contiguous()
        if ".in1." in theirs or ".in2." in theirs:
            tensor = tensor.view(1, -1, 1)
        if theirs == "fcs.0.0.weight" or (theirs.startswith("extractors.") and tensor.dim() == 2):
            tensor = tensor[:, :, None, None]
        collected[theirs] = tensor
    return collected


def with_statistics(published: OrderedDict[str, Tensor], counted: bool) -> OrderedDict[str, Tensor]:
    """With what instance norms with `track_running_stats` keep (`counted`: of torch 0.4.1 and later)."""
    collected: OrderedDict[str, Tensor] = OrderedDict()
    for name, tensor in published.items():
        collected[name] = tensor
        if name.endswith(".bias"):
            norm = name.removesuffix("bias")
            collected[f"{norm}running_mean"] = torch.randn_like(tensor)
            collected[f"{norm}running_var"] = torch.rand_like(tensor)
            if counted:
                collected[f"{norm}num_batches_tracked"] = torch.tensor(7)
    return collected


def with_unused(published: OrderedDict[str, Tensor]) -> OrderedDict[str, Tensor]:
    """MTSS's generator with the layers of its SDU that no output depends on."""
    inner, outer = (published["afiuint.W_s.weight"].shape[1], published["afiuint.W_s.weight"].shape[0])
    collected = OrderedDict(published)
    collected["afiuint.W_r.weight"] = torch.randn(outer, inner, 1, 1)
    for name in ("W_b_r", "W_b_s"):
        collected[f"afiuint.{name}.weight"] = torch.randn(outer, outer, 1, 1)
    for norm in NORMS_OF_SDU:
        for name in ("weight", "bias", "running_mean", "running_var"):
            collected[f"{norm}.{name}"] = torch.randn(outer)
        collected[f"{norm}.num_batches_tracked"] = torch.tensor(3)
    return collected


def parallel(published: Mapping[str, Tensor]) -> OrderedDict[str, Tensor]:
    """As DataParallel names them."""
    return OrderedDict((f"module.{name}", tensor) for name, tensor in published.items())


class _Python2(pickle._Pickler):
    """Writes strings as Python 2 did, in which GANimation was written."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    def save_bytes(self, text: str) -> None:
        self.write(pickle.SHORT_BINSTRING + bytes([len(text)]) + text.encode("ascii"))
        self.memoize(text)

    dispatch[str] = save_bytes


def _dump(value: Any, stream: BinaryIO, protocol: int = 2) -> None:
    _Python2(stream, protocol).dump(value)


def save_as_python2(value: Any, path: Path) -> None:
    """As torch 0.3 saved under Python 2: no zip file, byte strings."""
    module = types.SimpleNamespace(Pickler=_Python2, dump=_dump, __name__="pickle")
    torch.save(value, path, pickle_module=module, pickle_protocol=2, _use_new_zipfile_serialization=False)


Names = Callable[[Any], Mapping[str, str]]


def save_stargan(method: Method, names: Names, folder: Path) -> list[Path]:
    """`*-G.ckpt` and `*-D.ckpt`, as torch 0.4.1 saved them."""
    files = [folder / "200000-G.ckpt", folder / "200000-D.ckpt"]
    generator = with_statistics(state_dict(method.get_submodule("generator"), names(method.generator)), counted=True)
    torch.save(generator, files[0], _use_new_zipfile_serialization=False)
    discriminator = method.get_submodule("discriminator")
    torch.save(state_dict(discriminator, names(discriminator)), files[1], _use_new_zipfile_serialization=False)
    return files


def save_ganimation(method: Method, names: Names, folder: Path) -> list[Path]:
    """`net_epoch_*_id_G.pth` and `_D.pth`, trained on several GPUs."""
    files = [folder / "net_epoch_30_id_G.pth", folder / "net_epoch_30_id_D.pth"]
    generator = with_statistics(state_dict(method.get_submodule("generator"), names(method.generator)), counted=False)
    save_as_python2(parallel(generator), files[0])
    discriminator = method.get_submodule("discriminator")
    save_as_python2(parallel(state_dict(discriminator, names(discriminator))), files[1])
    return files


def save_hisd(method: Method, average: nn.Module, names: Names, folder: Path, unused: bool = False) -> list[Path]:
    """`gen_*.pt` with the generator and its average, and `dis_*.pt`; MTSS's have unused layers."""
    files = [folder / "gen_00200000.pt", folder / "dis_00200000.pt"]
    pair = [state_dict(network, names(network)) for network in (method.get_submodule("generator"), average)]
    raw, averaged = (with_unused(entry) if unused else entry for entry in pair)
    torch.save({"gen": raw, "gen_test": averaged}, files[0])
    discriminator = method.get_submodule("discriminator")
    torch.save({"dis": state_dict(discriminator, names(discriminator))}, files[1])
    return files
