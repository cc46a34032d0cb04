"""Where the checkout example is: inside the wheel as `saga.demo.shop`, in a checkout as `examples.checkout`.

The rest of the demo imports the example's modules from here, and has their types either way.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

__all__ = ["PACKAGE", "book", "control", "orders", "processes"]


def _package() -> str:
    if find_spec("saga.demo.shop") is not None:
        return "saga.demo.shop"
    root = Path(__file__).resolve().parents[2]
    if not (root / "examples" / "checkout" / "__init__.py").is_file():
        raise ModuleNotFoundError("the example is neither in this installation nor in a checkout beside it")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return "examples.checkout"


PACKAGE = _package()

if TYPE_CHECKING:
    from examples.checkout import orders, processes
    from examples.checkout.services import book, control
else:
    orders = import_module(f"{PACKAGE}.orders")
    processes = import_module(f"{PACKAGE}.processes")
    book = import_module(f"{PACKAGE}.services.book")
    control = import_module(f"{PACKAGE}.services.control")
