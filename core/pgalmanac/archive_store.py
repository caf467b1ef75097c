"""Where archives lie: a folder of this machine, or a bucket of an S3-compatible store, behind the same few verbs.

A file becomes visible under its own name when it is complete: locally by a rename after it is on the disk, in a bucket
because an object only exists once its upload is completed.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pgalmanac.arrow import library
from pgalmanac.errors import ArchiveError, StoreError
from pgalmanac.policy import ArchiveTarget

__all__ = ["Store", "open_store"]

_PARTIAL: Final = ".partial"
# Always the same, so that what a killed run left is written over, and goes with the next probe.
_PROBE: Final = ".pgalmanac-probe"
_CONNECT_SECONDS: Final = 5
_REQUEST_SECONDS: Final = 30
_ATTEMPTS: Final = 3
_CHUNK: Final = 1 << 20

_CREDENTIALS: Final = re.compile(
    r"ACCESS_DENIED|AccessDenied|INVALID_ACCESS_KEY|InvalidAccessKey|SIGNATURE|Signature|InvalidClientTokenId"
    r"|HTTP status 403|HTTP response code: 403|credentials",
    re.IGNORECASE,
)
_NO_BUCKET: Final = re.compile(r"NO_SUCH_BUCKET|NoSuchBucket|Bucket '.*' not found", re.IGNORECASE)
_NETWORK: Final = re.compile(r"NETWORK_CONNECTION|curlCode|timed? ?out|resolve host", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """One archive location. Paths are relative to *url*, with `/` between their parts. Every verb blocks.

    Every verb raises ArchiveError, which says what cannot be had and why.
    """

    url: str
    base: str
    fs: Any
    local: bool

    def at(self, path: str) -> str:
        """The address of a path, as people write it."""
        return f"{self.url}/{path}"

    def probe(self, folder: str) -> None:
        """Prove that something can be written to a folder and deleted, before anything depends on it."""
        self.put(f"{folder}/{_PROBE}", b"pgalmanac")
        self.delete(f"{folder}/{_PROBE}")

    def create(self, path: str) -> Any:  # noqa: ANN401  # a file of pyarrow's
        """A new file to write to; it is not there under its name before `settle`."""
        with self._reached(path):
            if not self.local:
                return self.fs.open_output_stream(self._full(path))
            partial = self._partial(path)
            # Nothing above the archive is made: what was mounted there may have gone in the middle of a run.
            folder = Path(self.base)
            for part in partial.parent.relative_to(folder).parts:
                folder /= part
                folder.mkdir(exist_ok=True)
            return partial.open("wb")

    def settle(self, path: str) -> None:
        """Make a closed new file visible, and locally durable: a crash of the machine must not take it back."""
        if not self.local:
            return
        with self._reached(path):
            partial, final = self._partial(path), Path(self._full(path))
            _sync(partial)
            partial.rename(final)
            folder = final.parent
            # A folder that was made for it has to survive too, and so up to where the archive began.
            while len(str(folder)) >= len(self.base):
                _sync(folder)
                folder = folder.parent

    def put(self, path: str, content: bytes) -> None:
        """Write a small file in one step."""
        file = self.create(path)
        with self._reached(path):
            try:
                file.write(content)
            finally:
                file.close()
        self.settle(path)

    def get(self, path: str) -> bytes | None:
        """The content of a small file; None when there is none."""
        with self._reached(path):
            try:
                with self.fs.open_input_stream(self._full(path)) as file:
                    return bytes(file.read())
            except FileNotFoundError:
                return None

    def open(self, path: str) -> Any:  # noqa: ANN401  # a file of pyarrow's
        """A file to read from anywhere in it."""
        with self._reached(path):
            return self.fs.open_input_file(self._full(path))

    def chunks(self, path: str) -> Generator[bytes]:
        """The bytes of a file from its beginning to its end."""
        with self._reached(path), self.fs.open_input_stream(self._full(path)) as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def names(self, path: str) -> dict[str, int]:
        """The files in a folder, leftovers of interrupted writing too, with their sizes; empty when there is none."""
        return {i.base_name: i.size for i in self._list(path) if i.is_file}

    def folders(self, path: str) -> tuple[str, ...]:
        """The names of the folders in a folder, sorted."""
        return tuple(sorted(i.base_name for i in self._list(path) if not i.is_file))

    def delete(self, path: str) -> None:
        """Remove a file, complete or not."""
        with self._reached(path):
            try:
                self.fs.delete_file(self._full(path))
            except FileNotFoundError:
                if self.local:
                    self._partial(path).unlink(missing_ok=True)

    def _list(self, path: str) -> list[Any]:
        with self._reached(path):
            selector = library("pyarrow.fs").FileSelector(self._full(path), allow_not_found=True)
            return list(self.fs.get_file_info(selector))

    def _full(self, path: str) -> str:
        return f"{self.base}/{path}"

    def _partial(self, path: str) -> Path:
        final = Path(self._full(path))
        return final.with_name(f".{final.name}{_PARTIAL}")

    @contextmanager
    def _reached(self, path: str) -> Generator[None]:
        with reached(self.at(path)):
            yield


@contextmanager
def reached(where: str) -> Generator[None]:
    """Turn what the file system or the store says into a sentence about *where*, with a remedy."""
    try:
        yield
    except (OSError, library("pyarrow").ArrowException) as exc:
        text = " ".join(str(exc).split())
        raise StoreError(f"{where} cannot be had ({text})", hint=_remedy(exc, text)) from exc


def _remedy(exc: BaseException, text: str) -> str:
    number = getattr(exc, "errno", None)
    if number in {errno.ENOSPC, errno.EDQUOT}:
        return "make room there"
    if number in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return "let this account write there"
    if _CREDENTIALS.search(text):
        return "check the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE) and what they allow"
    if _NO_BUCKET.search(text):
        return "make the bucket, or correct the url"
    if _NETWORK.search(text):
        return "is the store reachable, and its endpoint right?"
    return "see whether it is whole and reachable"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_store(target: ArchiveTarget) -> Store:
    """The store of an archive's url. A local folder must exist: what is not mounted must not be filled below."""
    fs = library("pyarrow.fs")
    parts = urlsplit(target.url)
    if parts.scheme == "file":
        base = unquote(parts.path).rstrip("/")
        if not Path(base).is_dir():
            raise ArchiveError(f"{target.url} is not a folder of this machine", hint="make it, or mount it")
        return Store(url=target.url, base=base, fs=fs.LocalFileSystem(), local=True)
    endpoint = target.endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    scheme, _, host = endpoint.rpartition("://") if endpoint else ("", "", "")
    with reached(target.url):
        remote = fs.S3FileSystem(
            endpoint_override=host or None,
            scheme=scheme or "https",
            region=target.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
            connect_timeout=_CONNECT_SECONDS,
            request_timeout=_REQUEST_SECONDS,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
        )
    return Store(url=target.url, base=f"{parts.netloc}{unquote(parts.path)}".rstrip("/"), fs=remote, local=False)
