"""Put files into an object store, each once: what is there already is not written over.

Credentials come from the environment, as `fairlead-runtime fetch` takes them from a Secret:
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, AWS_REGION.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import from_url


def main() -> int:
    """Be the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="a folder of the store, such as s3://models/fraud/7")
    parser.add_argument("files", type=Path, nargs="+")
    args = parser.parse_args()
    store = from_url(args.url, client_options={"allow_http": True})
    for path in args.files:
        body = path.read_bytes()
        try:
            obstore.put(store, path.name, body, mode="create")
        except AlreadyExistsError:
            if bytes(obstore.get(store, path.name).bytes()) != body:
                sys.stderr.write(f"{args.url}/{path.name} is there, and is another file\n")
                return 1
        sys.stdout.write(f"{args.url}/{path.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
