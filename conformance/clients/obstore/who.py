"""Rust's object_store, as its Python binding has it."""
import importlib.metadata
import os

import loop
from obstore.store import S3Store

store = S3Store(
    "conformance",
    endpoint=os.environ["AWS_ENDPOINT_URL_S3"],
    client_options={"allow_http": True},
    virtual_hosted_style_request=False,
)
loop.main(importlib.metadata.version("obstore"), lambda: bytes(store.get("whoami").bytes()).decode())
