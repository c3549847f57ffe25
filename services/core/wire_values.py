"""Values that several protobuf messages share: enums, what a session is asked to do, arrays."""

import math
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np

from services.core.errors import BadRequest
from services.core.generated.soundflow.v1 import stream_pb2 as pb
from soundflow.features import Tensor
from soundflow.interaction import Ability, SessionSpec

EnumT = TypeVar("EnumT", bound=StrEnum)

DEFAULT_TENANT = "default"


def bad_message(what: str) -> BadRequest:
    """Return the error for a message whose content cannot be."""
    return BadRequest("bad_message", what)


def enum_to_proto(member: StrEnum, proto_enum: Any, prefix: str) -> Any:
    """Return the protobuf value of the same name, such as KIND_COUNT for Kind.COUNT."""
    return proto_enum.Value(f"{prefix}_{member.name}")


def enum_from_proto(value: int, enum: type[EnumT], proto_enum: Any, prefix: str) -> EnumT:
    """Return the member of the same name. BadRequest when it is unset, or of a later version."""
    try:
        return enum[proto_enum.Name(value).removeprefix(f"{prefix}_")]
    except (KeyError, ValueError):
        names = ", ".join(f"{prefix}_{member.name}" for member in enum)
        raise bad_message(f"{value} is no {enum.__name__} here; use one of {names}") from None


def spec_to_proto(spec: SessionSpec) -> pb.SessionSpec:
    """Write what a session is asked to do."""
    return pb.SessionSpec(
        instruction=spec.instruction,
        abilities=[
            enum_to_proto(ability, pb.Ability, "ABILITY") for ability in sorted(spec.abilities)
        ],
        source_language=spec.source_language,
        target_language=spec.target_language,
        tenant=spec.tenant,
        model=spec.model,
    )


def spec_from_proto(spec: pb.SessionSpec) -> SessionSpec:
    """Read what a session is asked to do. BadRequest `unknown_ability`."""
    return SessionSpec(
        instruction=spec.instruction,
        abilities=frozenset(_ability(value) for value in spec.abilities),
        source_language=spec.source_language,
        target_language=spec.target_language,
        tenant=spec.tenant or DEFAULT_TENANT,
        model=spec.model,
    )


def _ability(value: int) -> Ability:
    try:
        return enum_from_proto(value, Ability, pb.Ability, "ABILITY")
    except BadRequest as error:
        raise BadRequest("unknown_ability", error.message) from None


def tensor_to_proto(name: str, tensor: Tensor) -> pb.Tensor:
    """Write an array of numbers."""
    return pb.Tensor(
        name=name, dtype=tensor.dtype.str, shape=tensor.shape, data=tensor.tobytes(order="C")
    )


def tensor_from_proto(tensor: pb.Tensor) -> Tensor:
    """Read an array without copying it: it is read-only. BadRequest when its parts do not agree."""
    dtype = _number_type(tensor)
    shape = tuple(tensor.shape)
    if any(length < 0 for length in shape):
        raise bad_message(f"tensor {tensor.name!r} has {shape=}; lengths count from 0")
    expected_bytes = math.prod(shape) * dtype.itemsize
    if len(tensor.data) != expected_bytes:
        raise bad_message(
            f"tensor {tensor.name!r} of {shape=} and type {dtype.str!r} takes {expected_bytes} "
            f"bytes, got {len(tensor.data)}"
        )
    try:
        return np.frombuffer(tensor.data, dtype).reshape(shape)
    except ValueError as error:  # more dimensions than numpy has, or lengths beside a 0 too great
        raise bad_message(f"tensor {tensor.name!r} cannot have {shape=}: {error}") from None


def _number_type(tensor: pb.Tensor) -> np.dtype[np.generic]:
    """Read a type of plain numbers; nothing that holds pointers or parts."""
    try:
        dtype = np.dtype(tensor.dtype)
    except (TypeError, ValueError, SyntaxError):  # numpy parses commas and braces as records
        dtype = np.dtype(object)
    if dtype.kind not in "biuf" or dtype.str != tensor.dtype:
        raise bad_message(
            f"tensor {tensor.name!r} has type {tensor.dtype!r}; "
            "send booleans, integers or floats with their byte order, such as '<f4'"
        )
    return dtype
