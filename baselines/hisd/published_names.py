"""What the published code (imlixinyang/HiSD) calls the parameters; MTSS, which grew out of it, uses the same names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import nn

from baselines.hisd.blocks import ClassLinear
from baselines.hisd.networks import Discriminator, Generator
from baselines.published import Rule, translated


def _sequence(ours: str, theirs: str) -> list[Rule]:
    """Stem and blocks here are numbers 0, 1, 2, ... of one sequence there."""
    blocks = rf"^{ours}\.blocks\.(\d+)\."
    return [
        (rf"^{ours}\.stem\.", f"{theirs}.0."),
        (blocks, lambda match: f"{theirs}.{int(match[1]) + 1}."),
    ]


_IN_BLOCKS: list[Rule] = [(r"\.norm(\d)\.", r".in\1."), (r"\.skip\.", ".sc.")]

GENERATOR_RULES: list[Rule] = [
    *_sequence("encoder", "encoder"),
    *_sequence("extractor", "extractors.model"),
    *_sequence("translator", "translators.0.model"),
    (r"^translator\.projection\.", "translators.0.style_to_params."),
    (r"^translator\.feature\.", "translators.0.features.0."),
    (r"^translator\.mask\.", "translators.0.masks.0."),
    (r"^decoder\.blocks\.", "decoder."),
    (r"^decoder\.head\.", "decoder.2."),
    (r"^mapper\.stem\.", "mappers.0.pre_model.0."),
    (r"^mapper\.shared\.(\d)\.", lambda match: f"mappers.0.pre_model.{int(match[1]) + 1}.linear."),
    (r"^mapper\.heads\.([01])\.(\w+)\[(\d+)\]", r"mappers.0.post_models.\3.\1.linear.\2"),
    (r"^mapper\.heads\.2\.(\w+)\[(\d+)\]", r"mappers.0.post_models.\2.2.\1"),
    *_IN_BLOCKS,
]
DISCRIMINATOR_RULES: list[Rule] = [*_sequence("trunk", "conv"), (r"^head\.", "fcs.0.0."), *_IN_BLOCKS]


def parameter_names(network: nn.Module) -> Iterator[str]:
    """Names of all parameters; those of layers per class once for every class, with its index."""
    for path, module in network.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            full = f"{path}.{name}" if path else name
            if isinstance(module, ClassLinear):
                yield from (f"{full}[{index}]" for index in range(len(parameter)))
            else:
                yield full


def published_names(network: Generator | Discriminator, more: Sequence[Rule] = ()) -> dict[str, str]:
    """The published code's name of every parameter, with ours. more: rules for what a generator has beyond HiSD's."""
    if isinstance(network, Discriminator):
        return translated(parameter_names(network), DISCRIMINATOR_RULES)
    number = len(network.extractor.blocks) + 2  # behind the stem, the blocks and the pooling
    head: Rule = (r"^extractor\.head\.", f"extractors.model.{number}.")
    return translated(parameter_names(network), [*more, *GENERATOR_RULES, head])
