"""The live interface: the only importer of textual and plotext."""
