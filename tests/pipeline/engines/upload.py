"""`python -m tests.pipeline.engines.upload STORE CACHE URL`: copy the artifacts of a store into one of objects."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmark.core.artifacts import MANIFEST, Artifact, Manifest, Recipe
from benchmark.core.object_store import ObjectStore

if __name__ == "__main__":
    source, cache, url = sys.argv[1:]
    store = ObjectStore(Path(cache), url)
    for path in sorted(Path(source).glob(f"*/*/{MANIFEST}")):
        manifest = Manifest.read(path)
        recipe = Recipe(manifest.kind, manifest.name, manifest.settings, manifest.inputs, manifest.version)
        store.adopt(Artifact(path.parent, manifest), recipe)
