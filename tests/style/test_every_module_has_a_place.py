"""Who may import whom holds only for modules that a contract names: each module at the top of `saga` is in a layer."""

import tomllib

from tests.support import repository


def test_every_module_of_saga_is_in_a_layer() -> None:
    """A new file in saga/ says in pyproject.toml where in the house it lives."""
    contracts = tomllib.loads((repository.ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    placed = {name.strip("() ") for layer in layers for name in layer.split(":")}
    found = {
        ".".join(path.relative_to(repository.ROOT).with_suffix("").parts[:2])
        for path in repository.python("saga")
        if path.name != "__init__.py" or len(path.relative_to(repository.ROOT).parts) > 2
    }
    assert found <= placed, "add it to the layers of [tool.importlinter] in pyproject.toml"
