"""The wire: the rules of Lightsail's own service model, as botocore ships it, for requests and answers.

botocore's ``ParamValidator`` checks types, required and unknown members, and minima. It leaves out enumerations,
patterns and maxima, which are checked here. A pattern is searched for and not anchored, as on Lightsail's server:
``\\w[\\w\\-]*\\w`` of a ResourceName accepts a name with a space, and a rule of the service (see ``rules``) refuses it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any, Final

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from botocore.validate import ParamValidator

MEDIA_TYPE: Final = "application/x-amz-json-1.1"
_SERVICE: Final = "lightsail"
_BEYOND_THE_MODEL: Final = {
    "OperationType": frozenset({"CopySnapshot", "DeleteAutoSnapshot", "TagResource", "UntagResource"}),
}
"""Values in Lightsail's answers (see ``aws lightsail copy-snapshot help``) that its model leaves out."""


@functools.cache
def service_model() -> ServiceModel:
    """The model that botocore ships; models and settings in the developer's ``~/.aws`` are ignored."""
    loader = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    return ServiceModel(loader.load_service_model(_SERVICE, "service-2"), _SERVICE)


@functools.cache
def regions() -> frozenset[str]:
    """The regions that Lightsail has."""
    return frozenset(_enumeration(service_model().shape_for("RegionName")))


@functools.cache
def own_exceptions() -> frozenset[str]:
    """The exceptions in the model; all AWS services share the others (Throttling…, InvalidSignature…)."""
    return frozenset(shape.name for shape in service_model().error_shapes)


@functools.cache
def operation(name: str) -> OperationModel | None:
    """The model of operation ``name``; None when Lightsail has none of that name."""
    model = service_model()
    return model.operation_model(name) if name in model.operation_names else None


def operation_named(header: str) -> str | None:
    """The operation that an ``X-Amz-Target`` header names; None for another service's or a malformed one."""
    prefix, _, name = header.partition(".")
    return name if prefix == service_model().metadata["targetPrefix"] and operation(name) else None


def request_problems(model: OperationModel, parameters: Any) -> list[str]:
    """What is wrong with a request's parameters, one sentence each."""
    return _problems(model.input_shape, parameters)


def answer_problems(model: OperationModel, answer: Any) -> list[str]:
    """What is wrong with one of our answers."""
    return _problems(model.output_shape, answer)


def error_problems(model: OperationModel, name: str, members: Any) -> list[str]:
    """What is wrong with one of our exceptions: a name that this operation never raises, or unknown members."""
    shapes = {shape.name: shape for shape in model.error_shapes}
    if name not in shapes:
        return [f"{model.name} raises no {name}"]
    return _problems(shapes[name], members)


def _problems(shape: Shape | None, value: Any) -> list[str]:
    if shape is None:
        return ["there should be nothing"] if value else []
    report = ParamValidator().validate(value, shape)
    if report.has_errors():
        return [_without_value(line) for line in report.generate_report().splitlines()]
    return list(_unchecked(shape, value, ""))


def _without_value(sentence: str) -> str:
    """A report names the offending value, which may be a secret (userData holds passwords)."""
    return re.sub(r", value: .*?, (type|valid)", r", \1", sentence, flags=re.DOTALL)


def _unchecked(shape: Shape, value: Any, at: str) -> Iterator[str]:
    """The checks that ParamValidator leaves out, for a value that it accepted."""
    if isinstance(shape, StructureShape):
        for name, member in value.items():
            yield from _unchecked(shape.members[name], member, f"{at}.{name}".lstrip("."))
    elif isinstance(shape, ListShape):
        for index, item in enumerate(value):
            yield from _unchecked(shape.member, item, f"{at}[{index}]")
    elif isinstance(shape, MapShape):
        for key, item in value.items():
            yield from _unchecked(shape.value, item, f"{at}.{key}")
    else:
        yield from _scalar(shape, value, at)


def _scalar(shape: Shape, value: Any, at: str) -> Iterator[str]:
    allowed = _enumeration(shape)
    if allowed and value not in allowed and value not in _BEYOND_THE_MODEL.get(shape.name, ()):
        yield f"Invalid value for parameter {at}, must be one of: {', '.join(allowed)}"
    pattern = shape.metadata.get("pattern")
    if pattern and not re.search(pattern, value):
        yield f"Invalid value for parameter {at}, must match: {pattern}"
    most = shape.metadata.get("max")
    if most is not None and (len(value) if isinstance(value, str) else value) > most:
        yield f"Invalid value for parameter {at}, must be at most {most}"


def _enumeration(shape: Shape) -> list[str]:
    return list(shape.metadata.get("enum", []))
