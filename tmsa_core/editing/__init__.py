"""The editor: prepare an image once, then edit it many times."""
