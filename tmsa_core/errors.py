"""Everything that can go wrong, in words for the person at the other end.

    TmsaError
    ├── ImageError      the file is no picture, is truncated, or is too large
    │   └── NoFaceError the picture holds no face that could be found
    ├── TextError       a text is empty
    ├── StrengthError   alpha is not a finite number, or out of range
    ├── RequestError    another field of a request is wrong (levels, threshold, face index, seed)
    ├── MemoryFullError the device has too little memory for the networks or the picture
    └── BundleError     a weights file or a domain is missing, damaged or of another layout
        ├── DamagedFileError   a weights file has another size or content than it should
        └── DownloadError      a weights file could not be fetched

Each message says what arrived, what was expected and what to do next. Only ``ui.py`` and
``cli.py`` turn them into what a visitor or a shell sees.
"""


class TmsaError(Exception):
    """Base of all errors that a user can cause or mend; its message is one clear sentence."""


class ImageError(TmsaError):
    """The picture cannot be used."""


class NoFaceError(ImageError):
    """No face was found in the picture."""


class TextError(TmsaError):
    """A text cannot be used."""


class StrengthError(TmsaError):
    """alpha cannot be used."""


class RequestError(TmsaError):
    """Another field of a request cannot be used."""


class MemoryFullError(TmsaError):
    """The device has too little memory."""


class BundleError(TmsaError):
    """Weights or a domain cannot be used."""


class DamagedFileError(BundleError):
    """A weights file has another size or content than it should."""


class DownloadError(BundleError):
    """A weights file could not be fetched."""
