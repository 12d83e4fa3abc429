"""Registries tie configs to parts, find plug-ins, and are pydantic fields."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from vlkit.config import Config
from vlkit.errors import ConfigError, RegistryError
from vlkit.layouts import Layout2DConfig
from vlkit.notation import Grid
from vlkit.projectors import (
    AnyProjector,
    MlpGelu,
    MlpGeluConfig,
    Projector,
    ProjectorConfig,
    projectors,
)
from vlkit.registry import Registry


class GadgetConfig(Config):
    """Base of a kind of part that exists only here."""

    type: str


class CupConfig(GadgetConfig):
    """A gadget."""

    type: Literal["cup"] = "cup"
    size: int = 1


class Gadget:
    """What gadget configs build."""

    def __init__(self, config: GadgetConfig, *, colour: str = "white") -> None:
        self.config, self.colour = config, colour


gadgets: Registry[GadgetConfig, Gadget] = Registry("gadgets", GadgetConfig)


@pytest.fixture(autouse=True)
def _scratch() -> Iterator[None]:
    with gadgets.scratch():
        gadgets.register(CupConfig)(Gadget)
        yield


def plug_in(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: str) -> None:
    """Install a distribution that offers one gadget."""
    info = folder / f"{name}_dist-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-dist\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[vlkit.gadgets]\n{name} = plug_in_{name}\n")
    (folder / f"plug_in_{name}.py").write_text(code)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, f"plug_in_{name}", raising=False)


GOOD = """
from typing import Literal
from tests.test_registry import Gadget, GadgetConfig, gadgets

class {Name}Config(GadgetConfig):
    type: Literal["{name}"] = "{name}"

@gadgets.register({Name}Config)
class {Name}(Gadget):
    pass
"""


def test_build_gives_the_tied_part_its_config_and_what_the_neighbours_know() -> None:
    gadget = gadgets.build(CupConfig(size=3), colour="blue")
    assert (gadget.config, gadget.colour) == (CupConfig(size=3), "blue")


def test_register_returns_the_part_itself() -> None:
    assert gadgets.register(CupConfig, replace=True)(Gadget) is Gadget


def test_a_taken_tag_is_refused_unless_replaced() -> None:
    class OtherCupConfig(GadgetConfig):
        type: Literal["cup"] = "cup"

    with pytest.raises(RegistryError, match="gadgets has 'cup' already"):
        gadgets.register(OtherCupConfig)
    assert gadgets.resolve("cup") == CupConfig()
    gadgets.register(OtherCupConfig, replace=True)(Gadget)
    assert gadgets.resolve("cup") == OtherCupConfig()


def test_scratch_forgets_what_was_registered_in_it_and_restores_what_was_replaced() -> None:
    class PotConfig(GadgetConfig):
        type: Literal["pot"] = "pot"

    class NewCupConfig(CupConfig):
        pass

    with pytest.raises(KeyError), gadgets.scratch():
        gadgets.register(PotConfig)(Gadget)
        gadgets.register(NewCupConfig, replace=True)(Gadget)
        assert list(gadgets) == ["cup", "pot"]
        raise KeyError
    assert list(gadgets) == ["cup"]
    assert gadgets["cup"] is CupConfig


def test_configs_without_a_tag_or_of_another_kind_are_refused() -> None:
    for config_class in (GadgetConfig, MlpGeluConfig):
        with pytest.raises(RegistryError, match="cannot be registered in gadgets"):
            gadgets.register(config_class)  # type: ignore[arg-type]


def test_a_config_class_without_part_cannot_be_built() -> None:
    class LidConfig(CupConfig):
        pass

    with pytest.raises(RegistryError, match="no part is registered for LidConfig"):
        gadgets.build(LidConfig())


def test_mapping_protocol_tells_the_tags() -> None:
    assert "cup" in gadgets and "cop" not in gadgets
    assert (list(gadgets), len(gadgets), gadgets["cup"]) == (["cup"], 1, CupConfig)
    with pytest.raises(RegistryError, match=r"'cop' is not one of the gadgets; did you mean 'cup'\?"):
        gadgets["cop"]


def test_resolve_takes_a_tag_a_mapping_or_a_config_and_replaces_fields() -> None:
    assert gadgets.resolve("cup") == CupConfig()
    assert gadgets.resolve("cup", size=2) == CupConfig(size=2)
    assert gadgets.resolve({"type": "cup", "size": 2}) == CupConfig(size=2)
    assert gadgets.resolve({"type": "cup", "size": 2}, size=3) == CupConfig(size=3)
    config = CupConfig(size=2)
    assert gadgets.resolve(config) is config
    assert gadgets.resolve(config, size=5) == CupConfig(size=5)


def test_resolve_refuses_anything_else_with_an_error_of_the_library() -> None:
    with pytest.raises(RegistryError, match="did you mean 'cup'"):
        gadgets.resolve("cupp")
    with pytest.raises(ConfigError, match="did you mean 'size'"):
        gadgets.resolve("cup", sise=2)
    for spec in ({"size": 2}, 3, None, Layout2DConfig()):
        with pytest.raises(RegistryError, match='a mapping with the key "type"'):
            gadgets.resolve(spec)  # type: ignore[arg-type]


def test_an_installed_plug_in_is_found_by_its_tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(tmp_path, monkeypatch, "kettle", GOOD.format(name="kettle", Name="Kettle"))
    gadget = gadgets.build(gadgets.resolve("kettle"))
    assert type(gadget).__name__ == "Kettle"
    assert list(gadgets) == ["cup", "kettle"]


def test_a_known_tag_does_not_load_plug_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(tmp_path, monkeypatch, "kettle", GOOD.format(name="kettle", Name="Kettle"))
    assert gadgets.resolve("cup") == CupConfig()
    assert "plug_in_kettle" not in sys.modules


@pytest.mark.parametrize("code", ["raise OSError('no such device')", GOOD.format(name="cup", Name="Cup"), "def :"])
def test_a_broken_plug_in_is_skipped_with_a_warning_that_names_its_distribution(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug_in(tmp_path, monkeypatch, "broken", code)
    plug_in(tmp_path, monkeypatch, "kettle", GOOD.format(name="kettle", Name="Kettle"))
    with pytest.warns(UserWarning, match="plug-in 'broken' of broken-dist was skipped"):
        assert list(gadgets) == ["cup", "kettle"]
    assert list(gadgets) == ["cup", "kettle"]


def test_plug_ins_can_be_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(tmp_path, monkeypatch, "kettle", GOOD.format(name="kettle", Name="Kettle"))
    monkeypatch.setenv("VLKIT_DISABLE_PLUGINS", "1")
    assert list(gadgets) == ["cup"]
    assert "plug_in_kettle" not in sys.modules


def test_a_projector_of_fifteen_lines_is_a_part_like_any_other() -> None:
    with projectors.scratch():

        class GatedConfig(ProjectorConfig):
            """Linear, gated by the features."""

            type: Literal["gated"] = "gated"
            slope: float = 1.0

        @projectors.register(GatedConfig)
        class Gated(Projector):
            config: GatedConfig

            def __init__(self, config: GatedConfig, *, in_dim: int, out_dim: int) -> None:
                super().__init__(config, in_dim=in_dim, out_dim=out_dim)
                self.up = nn.Linear(in_dim, 2 * out_dim)

            def forward(self, x_NYXW: Tensor) -> Tensor:
                value, gate = self.up(x_NYXW).chunk(2, dim=-1)
                return value * torch.sigmoid(self.config.slope * gate)

        class Holder(Config):
            """Has a field for any projector."""

            projector: AnyProjector = MlpGeluConfig()

        holder = Holder.model_validate_json('{"projector": {"type": "gated", "slope": 2}}')
        assert holder.projector == GatedConfig(slope=2.0)
        assert Holder.model_validate_json(holder.model_dump_json()) == holder
        with pytest.raises(ConfigError, match=r"projector\.slop: .*did you mean 'slope'"):
            Holder.model_validate({"projector": {"type": "gated", "slop": 2}})
        part = projectors.build(holder.projector, in_dim=4, out_dim=6)
        assert part(torch.randn(2, 3, 5, 4)).shape == (2, *part.grid_out(Grid(3, 5)), 6)
        assert isinstance(projectors.build(Holder().projector, in_dim=4, out_dim=6), MlpGelu)
    with pytest.raises(RegistryError, match="'gated' is not one of the projectors"):
        projectors.resolve("gated")
