"""The server behind the page and the HTTP API: web app, files, queue, limits and jobs."""
