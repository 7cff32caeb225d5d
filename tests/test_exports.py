"""The public face: ``__all__`` of the three public packages, and of the errors."""

from __future__ import annotations

import enum
import importlib
import inspect
import types
import typing

import pytest

PUBLIC = ["pyproducer", "pyproducer.broker", "pyproducer.errors", "serializers"]

# Names the plan promises; an import that users' programs begin with must not go away unnoticed.
PROMISED = {
    "pyproducer": {
        "AsyncProducer",
        "Delivery",
        "DeliveryGroup",
        "FlushReport",
        "Headers",
        "ProducerConfig",
        "ProducerError",
        "RecordMetadata",
        "SerializationError",
        "SyncProducer",
        "TimestampType",
        "Topic",
        "TopicPartition",
    },
    "pyproducer.broker": {"Broker", "TopicSpec"},
    "pyproducer.errors": {"BufferFull", "BulkError", "ProducerError", "UndeliveredError"},
    "serializers": {
        "AvroSerializer",
        "BytesSerializer",
        "CsvSerializer",
        "JsonSerializer",
        "MsgpackSerializer",
        "StringSerializer",
    },
}


def public_classes() -> list[type]:
    found = {}
    for package in PUBLIC:
        module = importlib.import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value):
                found[f"{value.__module__}.{value.__qualname__}"] = value
    return list(found.values())


@pytest.mark.parametrize("package", PUBLIC)
def test_all_is_sorted_and_importable(package):
    """
    ``__all__`` is sorted, names nothing twice, and everything it names is there.
    """
    module = importlib.import_module(package)

    assert sorted(set(module.__all__)) == list(module.__all__)
    assert [] == [name for name in module.__all__ if not hasattr(module, name)]


@pytest.mark.parametrize("package", PUBLIC)
def test_all_is_complete(package):
    """
    A public-looking name of ours that can be imported from a public package is in ``__all__``.
    """
    module = importlib.import_module(package)
    ours = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, types.ModuleType)
        and str(getattr(value, "__module__", "")).split(".")[0] in {"pyproducer", "serializers"}
    }

    assert set() == ours - set(module.__all__)


@pytest.mark.parametrize("package", PUBLIC)
def test_promised_names_are_there(package):
    """
    What the documentation's programs import is exported.
    """
    module = importlib.import_module(package)

    assert set() == PROMISED[package] - set(module.__all__)


def test_every_error_is_at_the_top_too():
    """
    ``from pyproducer import BufferFull`` works for each error of the tree.
    """
    import pyproducer
    from pyproducer import errors

    assert set() == set(errors.__all__) - set(pyproducer.__all__)


@pytest.mark.parametrize("package", PUBLIC)
def test_names_are_documented(package):
    """
    Each exported class and function has a docstring of its own.
    """
    module = importlib.import_module(package)
    silent = []
    for name in module.__all__:
        value = getattr(module, name)
        # A class's own: vars() does not show the docstring of a base.
        text = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
        if (inspect.isclass(value) or inspect.isroutine(value)) and not text:
            silent.append(name)

    assert [] == silent


@pytest.mark.parametrize("cls", public_classes(), ids=lambda cls: cls.__qualname__)
def test_methods_are_documented(cls):
    """
    Each public method and property of an exported class has a docstring, its own or inherited.
    """
    if issubclass(cls, enum.Enum) or typing.is_typeddict(cls):
        pytest.skip("values, no methods")
    silent = [
        name
        for base in cls.__mro__
        if base.__module__.split(".")[0] in {"pyproducer", "serializers"}
        for name, value in vars(base).items()
        if not name.startswith("_")
        and (inspect.isroutine(value) or isinstance(value, property))
        and not inspect.getdoc(getattr(cls, name))
    ]

    assert [] == silent


@pytest.mark.parametrize("cls", public_classes(), ids=lambda cls: cls.__qualname__)
def test_classes_are_found_under_their_names(cls):
    """
    An exported class can be found by its own name, so that it pickles and prints as users know it.
    """
    home = importlib.import_module(cls.__module__)

    assert cls is getattr(home, cls.__qualname__)
