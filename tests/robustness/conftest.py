"""Small datasets to damage."""

from tests.data.conftest import make_mtan, make_nyuv2, make_taxonomy

__all__ = ["make_mtan", "make_nyuv2", "make_taxonomy"]
