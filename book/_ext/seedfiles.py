"""How large a network is as its seed, and as all its weights: the directive `seed-file-sizes`."""

from sphinx.util.docutils import SphinxDirective
from status import table

MODELS = ("resnet14", "resnet110", "resnet866", "wrn14-4", "wrn14-32")


class SeedFileSizes(SphinxDirective):
    """A table of both, computed by the package that writes the files."""

    def run(self):
        from bnlib import RunSpec
        from bnlib.spec import architecture
        from bnlib.store import seedfile

        rows = []
        for model in MODELS:
            whole, small = seedfile.sizes(RunSpec(model))
            rows.append((architecture(model).title, f"{whole / 1e6:.2f}", f"{small / 1e6:.2f}", f"{whole / small:,.0f}"))
        return self.parse_text_to_nodes(table(("network", "`state_dict`, MB", "seed file, MB", "times smaller"), *rows))


def setup(app):
    """Register the directive."""
    app.add_directive("seed-file-sizes", SeedFileSizes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
