"""A program that loads the .env of its working directory first, as many do, and then is obstore."""
import importlib.metadata
import os

import dotenv
import loop
from obstore.store import S3Store

dotenv.load_dotenv(os.path.join(os.getcwd(), ".env"))
store = S3Store("conformance", endpoint=os.environ["AWS_ENDPOINT_URL_S3"], client_options={"allow_http": True},
                virtual_hosted_style_request=False)
loop.main(importlib.metadata.version("python-dotenv"), lambda: bytes(store.get("whoami").bytes()).decode())
