"""Every number that bounds what visitors send and what the server keeps for them.

The editor's own bounds (pixels, letters of a text, members of an archive) stand where the editor
checks them. Other modules read these numbers as ``limits.NAME``, so that a test can change them.
"""

from __future__ import annotations

# One request.
BODY_BYTES = 32 << 20  # an image of 20 MB takes 27 MB as a data URL
UPLOAD_BYTES = 512 << 20  # all files of one upload
FILE_BYTES = 100 << 20  # one uploaded file, such as a ZIP archive
IMAGE_BYTES = 20 << 20  # the file of one image

# Calls that wait.
QUEUED_CALLS = 64  # of all clients
CALLS_OF_CLIENT = 8  # of one client
SECONDS_OF_CALL = 2.0  # expected of a function that has not been timed yet
KEEP_UNHEARD = 300.0  # seconds in which a caller may start to listen for its answer

# Sessions and files, in seconds.
SESSIONS = 200  # Gradio keeps 0.3 MB for each, and what the visitor edits
CLEAN_EVERY = 5.0
KEEP_SENT = 30.0  # after a call: a script may name the path again
KEEP_ANSWERED = 600.0  # the result of a call, to be fetched
KEEP_UNUSED = 600.0  # an upload that no call and no page has used yet
KEEP_UNKNOWN = 600.0  # an unregistered file since its last change: a result may be half written
KEEP_SHOWN = 3600.0  # a file that an open page shows, since its last use
