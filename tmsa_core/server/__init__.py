"""What the page and the HTTP API share on the server: files, hosts, limits and jobs."""
