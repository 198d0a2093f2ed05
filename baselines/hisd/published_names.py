"""Names of the parameters in the published code (imlixinyang/HiSD), which MTSS uses too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from baselines.hisd.networks import ENCODER, TRUNK, Discriminator, Generator
from baselines.hisd.settings import HiSDSettings
from baselines.scaling import scaled
from benchmark.published import Measured, Rule, Shapes, length, numbers, translated


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
    (r"^mapper\.heads\.(\d+)\.([01])\.", r"mappers.0.post_models.\1.\2.linear."),
    (r"^mapper\.heads\.", "mappers.0.post_models."),
    *_IN_BLOCKS,
]
DISCRIMINATOR_RULES: list[Rule] = [*_sequence("trunk", "conv"), (r"^head\.", "fcs.0.0."), *_IN_BLOCKS]


def published_names(network: Generator | Discriminator, more: Sequence[Rule] = ()) -> dict[str, str]:
    """The published code's name of every parameter, with ours. more: rules for what a generator has beyond HiSD's."""
    names = [name for name, _ in network.named_parameters()]
    if isinstance(network, Discriminator):
        return translated(names, DISCRIMINATOR_RULES)
    number = len(network.extractor.blocks) + 2  # behind the stem, the blocks and the pooling
    head: Rule = (r"^extractor\.head\.", f"extractors.model.{number}.")
    return translated(names, [*more, *GENERATOR_RULES, head])


def measure(shapes: Mapping[str, Shapes]) -> Measured:
    """Width, style, latent, blocks and classes, and bounds of the image size, from the generator's shapes.

    Of the size they only tell how often it is halved.
    """
    generator = shapes.get("generator", {})
    first = length(generator, "encoder.0.weight", 0)
    width = first / ENCODER[0] if first else 1.0
    defaults = HiSDSettings()
    style = length(generator, "translators.0.style_to_params.weight", 1)
    latent = length(generator, "mappers.0.pre_model.0.weight", 1)
    blocks = len(numbers(generator, r"translators\.0\.model\.(\d+)\.conv1\."))
    settings: dict[str, Any] = {"width": width} if width != 1 else {}
    if style and style != scaled(defaults.style_dim, width):
        settings["style_dim"] = round(style / width)
    if latent and latent != defaults.latent_dim:
        settings["latent_dim"] = latent
    if blocks and blocks != defaults.translator_blocks:
        settings["translator_blocks"] = blocks
    tags = _tags(generator)
    halvings = len(numbers(generator, r"extractors\.model\.(\d+)\.conv1\."))
    return Measured(
        settings,
        classes=None if tags else len(numbers(generator, r"mappers\.0\.post_models\.(\d+)\.")) or None,
        smallest=2**halvings if halvings else None,
        largest=2 ** (halvings + 1) - 1 if 0 < halvings < len(TRUNK) - 1 else None,
        obstacles=(
            *tags,
            *_channels(generator, width),
            *_conditions(shapes.get("discriminator", {}), width, style),
        ),
    )


def _tags(generator: Shapes) -> list[str]:
    """Refuse several tags (several translators and mappers): expressions are one tag."""
    tags = numbers(generator, r"mappers\.(\d+)\.")
    if len(tags) < 2:
        return []
    attributes = [str(len(numbers(generator, rf"mappers\.{tag}\.post_models\.(\d+)\."))) for tag in tags]
    return [
        f"has {len(tags)} tags (mappers.0 to mappers.{tags[-1]}) of {', '.join(attributes)} attributes, and the "
        "protocol has one tag, the expression"
    ]


def _channels(generator: Shapes, width: float) -> list[str]:
    """Refuse the 256 px configuration, which has another extractor."""
    layers = numbers(generator, r"extractors\.model\.(\d+)\.conv1\.")
    channels = [length(generator, "extractors.model.0.weight", 0)]
    channels += [length(generator, f"extractors.model.{layer}.conv2.weight", 0) for layer in layers]
    expected = [scaled(count, width) for count in TRUNK]
    if not layers or channels == expected[: len(channels)]:
        return []
    return [
        f"has an extractor of {', '.join(map(str, channels))} channels, and at its width of {width:g} that of "
        f"celeba-hq.yaml has {', '.join(map(str, expected))} (celeba-hq_256.yaml is another network)"
    ]


def _conditions(discriminator: Shapes, width: float, style: int | None) -> list[str]:
    """Refuse another number of tag-irrelevant conditions than one, which MTSS's configuration has."""
    inputs = length(discriminator, "fcs.0.0.weight", 1)
    if inputs is None or style is None:
        return []
    conditions = inputs - scaled(TRUNK[-1], width) - style
    if conditions == 1:
        return []
    return [f"has a discriminator of {conditions} tag-irrelevant conditions, and this one has 1; edits do without it"]
