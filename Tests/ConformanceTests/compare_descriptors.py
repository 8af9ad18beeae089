#!/usr/bin/env python3
"""Compares Protos/ with the descriptors Fabric publishes, and fails on any difference on the wire.

    compare_descriptors.py [PROTOS_FOLDER]

Needs protoc, and a Python that has the package: pip install --pre hyperledger-fabric-protos.
Compared: every message, field (name, number, type, label, oneof, optional presence), enum value and
service method. File names, comments and JSON names are ours. A message, field, value or method that only
one side has is a difference too, except in packages that Fabric does not publish (OURS).
"""

import importlib
import pathlib
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2 as pb

# Packages of ours that Fabric does not publish: nothing to compare with.
OURS = {"raftpb", "smartbftprotos", "ledger", "grpc.health.v1", "weft.consensus"}
# Full names that Fabric publishes and Weft leaves out, each with its reason. None at present.
OUT_OF_SCOPE = {}


def published_files():
    """The file descriptors of every generated module in the installed package."""
    try:
        package = importlib.import_module("fabric_protos")
    except ModuleNotFoundError:
        sys.exit("compare_descriptors: install the published descriptors first: "
                 "pip install --pre hyperledger-fabric-protos")
    root = pathlib.Path(package.__path__[0])
    for path in sorted(root.rglob("*_pb2.py")):
        module = ".".join(["fabric_protos", *path.relative_to(root).with_suffix("").parts])
        file = pb.FileDescriptorProto()
        importlib.import_module(module).DESCRIPTOR.CopyToProto(file)
        yield file


def our_files(folder):
    """The file descriptors protoc makes of our folder."""
    sources = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.proto"))
    with tempfile.NamedTemporaryFile() as output:
        subprocess.run(
            ["protoc", "-I", str(folder), "--include_imports", f"--descriptor_set_out={output.name}", *sources],
            check=True)
        return pb.FileDescriptorSet.FromString(pathlib.Path(output.name).read_bytes()).file


def facts(files):
    """What is comparable, as {full name of the thing: description}."""
    found = {}

    def add(name, description):
        if name in found:
            sys.exit(f"compare_descriptors: {name} is defined twice")
        found[name] = description

    def enum(value, scope):
        name = f"{scope}.{value.name}"
        add(f"enum {name}", "defined")
        for case in value.value:
            add(f"value {name}.{case.name}", case.number)

    def message(value, scope, syntax):
        name = f"{scope}.{value.name}"
        add(f"message {name}", "map entry" if value.options.map_entry else "defined")
        for field in value.field:
            in_oneof = field.HasField("oneof_index") and not field.proto3_optional
            group = value.oneof_decl[field.oneof_index].name if in_oneof else None
            add(f"field {name}.{field.name}", {
                "number": field.number,
                "type": field.type_name or pb.FieldDescriptorProto.Type.Name(field.type),
                "label": pb.FieldDescriptorProto.Label.Name(field.label),
                "oneof": group,
                "optional": field.proto3_optional,
                "syntax": syntax,
            })
        for nested in value.nested_type:
            message(nested, name, syntax)
        for nested in value.enum_type:
            enum(nested, name)

    for file in files:
        if file.package.startswith("google."):
            continue
        for value in file.message_type:
            message(value, file.package, file.syntax or "proto2")
        for value in file.enum_type:
            enum(value, file.package)
        for service in file.service:
            name = f"{file.package}.{service.name}"
            add(f"service {name}", "defined")
            for method in service.method:
                add(f"method {name}.{method.name}", {
                    "input": method.input_type, "streams in": method.client_streaming,
                    "output": method.output_type, "streams out": method.server_streaming,
                })
    return found


def in_package(thing, package):
    return thing.split(" ", 1)[1].startswith(package + ".")


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / "Protos"
    theirs = facts(published_files())
    ours = facts(our_files(folder))
    differences = []
    for thing in sorted(theirs.keys() | ours.keys()):
        if thing not in ours:
            if thing.split(" ", 1)[1] not in OUT_OF_SCOPE:
                differences.append(f"{thing}: missing in Protos/")
        elif thing not in theirs:
            if not any(in_package(thing, package) for package in OURS):
                differences.append(f"{thing}: not published by Fabric")
        elif ours[thing] != theirs[thing]:
            differences.append(f"{thing}: ours {ours[thing]}, published {theirs[thing]}")
    for difference in differences:
        print(difference)
    kinds = ", ".join(
        f"{sum(1 for thing in theirs if thing.startswith(kind + ' '))} {kind}s"
        for kind in ("message", "field", "enum", "value", "service", "method"))
    print(f"compare_descriptors: {len(differences)} differences; compared {kinds}")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
