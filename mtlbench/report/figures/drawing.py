"""A Vega-Lite specification as SVG, PDF and PNG, by vl-convert: no browser, no network, the same bytes each time.

The SVG is for pages as well as for itself: text and lines have the colour of the text around the picture, a mark's
description is its ``title``, ids begin with the name of the figure, and nothing in it is a style or a script.
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import version
from typing import Any
from xml.etree import ElementTree as ET

import vl_convert

from mtlbench.errors import UsageError
from mtlbench.report.figures.look import INK

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
PIXELS = 2
"""Of a PNG, for each pixel of the layout."""

OF = "data-figure"
"""Attribute of the SVG: the hash of what it was drawn from."""

MARK = "mark"
"""Class of what has a description."""

ET.register_namespace("", SVG)
ET.register_namespace("xlink", XLINK)


def fingerprint(spec: Mapping[str, Any]) -> str:
    """A hash of all that a drawing depends on."""
    return sha256(json.dumps([version("vl-convert-python"), spec], sort_keys=True).encode()).hexdigest()[:16]


def svg(spec: Mapping[str, Any], name: str, label: str) -> str:
    """SVG without an XML declaration, to stand in a page or in a file.

    Args:
        spec: of Vega-Lite.
        name: of the figure: letters, digits, ``_`` and ``-``.
        label: read to those who do not see it.
    """
    root = ET.fromstring(_on_white(json.dumps(spec)))
    root.remove(root[0])  # the background
    for attribute in ("class", "version"):
        root.attrib.pop(attribute, None)
    _name_ids(root, name)
    for element in root.iter():
        for attribute in ("fill", "stroke"):
            if element.get(attribute) in (INK, "#000", "black"):
                element.set(attribute, "currentColor")
    _describe(root)
    root.attrib.update({"role": "img", "aria-label": label, OF: fingerprint(spec)})
    return ET.tostring(root, encoding="unicode")


@lru_cache(1)
def _on_white(spec: str) -> str:
    """The SVG of a specification, as JSON; its three files are made of one drawing."""
    found: str = vl_convert.vegalite_to_svg({**json.loads(spec), "background": "white"})
    return found


def pdf(spec: Mapping[str, Any]) -> bytes:
    """PDF, with its fonts."""
    found: bytes = vl_convert.svg_to_pdf(_on_white(json.dumps(spec)))
    return found


def png(spec: Mapping[str, Any]) -> bytes:
    """PNG on white."""
    found: bytes = vl_convert.svg_to_png(_on_white(json.dumps(spec)), scale=PIXELS)
    return found


def content(spec: Mapping[str, Any], name: str, label: str, suffix: str) -> str | bytes:
    """Of a file whose name ends with `suffix`.

    Raises:
        UsageError: it is none of .svg, .pdf and .png.
    """
    if suffix == ".svg":
        return svg(spec, name, label)
    if suffix not in (".pdf", ".png"):
        raise UsageError(f"a figure's file ends with .svg, .pdf or .png, not {suffix or 'without any of these'}")
    return pdf(spec) if suffix == ".pdf" else png(spec)


def is_of(picture: str, spec: Mapping[str, Any]) -> bool:
    """Whether an SVG was drawn from `spec`, with this version of the library."""
    return f'{OF}="{fingerprint(spec)}"' in picture


def _name_ids(root: ET.Element, name: str) -> None:
    """Ids count the drawings of the process: number them within the figure instead."""
    known = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    new = {old: f"{name}-{number}" for number, old in enumerate(dict.fromkeys(known))}
    for element in root.iter():
        for attribute, value in element.attrib.items():
            if attribute == "id":
                element.set(attribute, new[value])
            elif value.startswith("url(#") and value[5:-1] in new:
                element.set(attribute, f"url(#{new[value[5:-1]]})")
            elif attribute.endswith("href") and value[1:] in new:
                element.set(attribute, f"#{new[value[1:]]}")


def _describe(root: ET.Element) -> None:
    """Replace the roles that Vega gives to every part by a title on each described mark."""
    for element in list(root.iter()):
        about = element.attrib.pop("aria-label", None)
        for attribute in ("role", "aria-roledescription", "aria-hidden", "class"):
            element.attrib.pop(attribute, None)
        if about is not None and element.tag != f"{{{SVG}}}g":
            element.set("class", MARK)
            title = ET.Element(f"{{{SVG}}}title")
            title.text = about
            element.insert(0, title)


def descriptions(picture: str) -> Iterator[str]:
    """Of the marks of an SVG, in the order in which the arrow keys reach them."""
    for element in ET.fromstring(picture).iter():
        if element.get("class") == MARK:
            yield element.findtext(f"{{{SVG}}}title") or ""
