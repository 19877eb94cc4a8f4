"""Addresses as places in the program: file, section, symbol, and the line of the source."""

from __future__ import annotations

from memtui.model.crash.crash import Place
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.image import file_offset, section_at, symbol_at
from memtui.ondemand.dwarflines import Lines
from memtui.ondemand.modules import Module, Modules


def place_of(map_: AddressMap, modules: Modules, address: int, *, is_return: bool) -> Place:
    """Where an address is. `is_return`: it is that of a call's return, behind the call.

    What a function ends with may be a call: it is looked for a byte before then, as its line is.
    """
    row = map_.row_at(address)
    if row is None:
        return Place(address)
    module = modules.at(row)
    if module is None:
        return Place(address, map_.mappings.paths[row])
    own = address - module.bias
    looked = own - is_return
    section = section_at(module.image, looked)
    place = Place(
        address,
        module.path,
        file_offset(module.image, own),
        own,
        section.name if section is not None else "",
    )
    for symbols in (module.debug_symbols, module.symbols):
        if symbols is None:
            continue
        # What a signal's handler returns to is the first byte of a function that nobody calls.
        for at in (looked, own):
            symbol = symbol_at(module.image, symbols, at)
            if symbol is not None:
                name = _usual(symbols.names_at(symbol.address))
                return place._replace(symbol=name, symbol_offset=own - symbol.address)
    return place


def _usual(names: list[str]) -> str:
    """Of a function's names the one that programs call it by: `free`, not `cfree` or `__libc_free`."""
    bare = [name.partition("@")[0] for name in names]
    return min(bare, key=lambda name: (len(name) - len(name.lstrip("_")), len(name), name))


def with_line(place: Place, module: Module, lines: Lines, *, is_return: bool) -> Place:
    """The place with file and line, where debug information has them and is read in time."""
    if place.link_address is None:
        return place
    found = lines.at(module, place.link_address - is_return)
    return place if found is None else place._replace(source=found[0], line=found[1])
