"""Serve on a free loopback port: prints the address, ends when its standard input does."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from tests.firestore_server.control import Control, strike
from tests.firestore_server.protocol import Refusal, message
from tests.firestore_server.service import METHODS, STREAMING, Service

_ANSWERS = {"GetDocument": "Document"}
_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def _handler(service: Service, control: Control, method: str) -> Any:
    def answers(request: Any, context: grpc.ServicerContext) -> list[Any]:
        fault = control.take_fault(method)
        try:
            if fault and not fault["after"]:
                strike(fault)
            found = service.handle(method, request, dict(context.invocation_metadata()))
            if fault and fault["after"]:
                strike(fault)
            return found
        except Refusal as refusal:
            context.abort(refusal.code, refusal.text)

    def one(request: Any, context: grpc.ServicerContext) -> Any:
        return answers(request, context)[0]

    def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        yield from answers(request, context)

    request = message(f"{method}Request").FromString
    if method in STREAMING:
        return grpc.unary_stream_rpc_method_handler(stream, request, _to_bytes)
    return grpc.unary_unary_rpc_method_handler(one, request, _to_bytes)


def _to_bytes(answer: Any) -> bytes:
    return bytes(answer.SerializeToString())


def _control_handler(service: Service, control: Control) -> Any:
    commands: dict[str, Callable[..., Any]] = {
        "counts": control.counts,
        "reset": control.reset,
        "fault": lambda **fault: control.add_fault(fault),
        "clear_faults": control.clear_faults,
        "clear": service.clear,
    }

    def call(request: bytes, context: grpc.ServicerContext) -> bytes:
        command, arguments = json.loads(request)
        return json.dumps(commands[command](**arguments)).encode()

    return grpc.unary_unary_rpc_method_handler(call)


def serve(databases: list[str], port: int) -> tuple[grpc.Server, int]:
    """Start a server; return it and its port."""
    control = Control()
    service = Service(control, databases)
    handlers = {method: _handler(service, control, method) for method in METHODS}
    server = grpc.server(ThreadPoolExecutor(32), options=_UNLIMITED)
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler("google.firestore.v1.Firestore", handlers),
            grpc.method_handlers_generic_handler(
                "test.Control", {"Call": _control_handler(service, control)}
            ),
        )
    )
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, bound


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--databases", default="(default),second", help="ids, comma-separated")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    arguments = parser.parse_args()
    server, port = serve(arguments.databases.split(","), arguments.port)
    sys.stdout.write(f"127.0.0.1:{port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop(None)


main()
