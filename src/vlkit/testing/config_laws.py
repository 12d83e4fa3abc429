"""Laws of every config: frozen, itself again after JSON, found by its tag, and described by a schema."""

from __future__ import annotations

import json

from vlkit.errors import VlkitError
from vlkit.testing.law import Broken, law
from vlkit.testing.subject import Subject


@law(weights=False)
def frozen(subject: Subject) -> None:
    """A config cannot be changed."""
    config = subject.config
    name = next(iter(type(config).model_fields))
    try:
        setattr(config, name, getattr(config, name))
    except (ValueError, AttributeError, TypeError):
        return
    raise Broken(
        f"its field {name!r} can be set",
        likely="model_config overrides frozen=True",
        remedy="use config.replace(field=...) where another value is needed",
    )


@law(weights=False, crash="a field's type has no JSON form")
def round_trip(subject: Subject) -> None:
    """A config is itself again after a way through JSON, whole or without its defaults."""
    config = subject.config
    for left_out in ("nothing", "defaults"):
        text = config.model_dump_json(exclude_defaults=left_out == "defaults")
        try:
            again = type(config).model_validate_json(text)
        except VlkitError as error:
            raise Broken(
                f"its own JSON ({left_out} left out) is refused: {error.problem}",
                likely="a field is excluded from the dump, renamed in it, or dumped in a form that it does not take",
            ) from None
        if again != config:
            fields = [name for name in type(config).model_fields if getattr(again, name) != getattr(config, name)]
            shown = ", ".join(f"{name}: {getattr(config, name)!r} became {getattr(again, name)!r}" for name in fields)
            raise Broken(
                f"after JSON ({left_out} left out) it is another config ({shown:.300})",
                likely="a validator changes values each time that it runs, or a field holds NaN or a private attribute",
                remedy="let validators check, and give what is derived as a property",
            )


@law(weights=False)
def tag(subject: Subject) -> None:
    """A config is found by its tag, and its tag leads to it."""
    config, registry = subject.config, subject.registry
    try:
        found = registry[config.type]
    except VlkitError as error:
        raise Broken(
            f"the tag {config.type!r} is unknown: {error.problem}",
            likely=f"@{registry.kind}.register({type(config).__name__}) is missing, or replaced by another decorator",
        ) from None
    if found is not type(config):
        raise Broken(
            f"the tag {config.type!r} leads to {found.__name__}, not to {type(config).__name__}",
            likely="two config classes share a tag; one of them was inherited without a `type` of its own",
            remedy='give the class a field `type: Literal["..."] = "..."`',
        )
    if registry.resolve(json.loads(config.model_dump_json())) != config:
        raise Broken(
            "its JSON, resolved by its tag, is another config",
            likely="a validator changes values each time that it runs",
        )


@law(weights=False)
def unknown_fields(subject: Subject) -> None:
    """Fields that the config does not have are refused."""
    fields = json.loads(subject.config.model_dump_json()) | {"no_such_field": 1}
    try:
        type(subject.config).model_validate(fields)
    except VlkitError:
        return
    raise Broken(
        "a mapping with the key 'no_such_field' was taken",
        likely='model_config overrides extra="forbid"',
        remedy="name every field, so that a misspelt one is told",
    )


@law(weights=False, crash="a field has a type that JSON schema cannot say")
def schema(subject: Subject) -> str | None:
    """A config class has a JSON schema, and a word on each of its fields."""
    config_class = type(subject.config)
    fields, whole = config_class.model_fields, json.loads(json.dumps(config_class.model_json_schema()))
    own = whole if "properties" in whole else whole["$defs"][config_class.__name__]
    missing = [name for name in fields if name not in own["properties"]]
    if missing:
        raise Broken(
            f"the schema lacks the fields {', '.join(map(repr, missing))}",
            likely="the fields have aliases, or excluded",
        )
    silent = [name for name, field in fields.items() if name != "type" and not field.description]
    return f"no docstring below {', '.join(map(repr, silent))}" if silent else None


CONFIG_LAWS = (frozen, round_trip, tag, unknown_fields, schema)
