"""A server with faults, started by ``test_fuzz``."""

from __future__ import annotations

import asyncio
import os

import uvicorn
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

app = FastAPI()
CACHE = os.environ["GRADIO_TEMP_DIR"]
ANSWERS = {  # path -> status and text
    "/": (200, "ready"),
    "/bare": (500, "Internal Server Error"),
    "/null": (200, "event: error\ndata: null\n\n"),
    "/long": (400, "word " * 1000),
    "/cache": (400, f'{{"error": "{CACHE}/a.png does not exist."}}'),
    "/bystander": (200, "bystander-5d1f.png"),
    "/passwords": (200, "root:x:0:0:root:/root:/bin/sh"),
    "/sentence": (400, '{"error": "The image is damaged: save it again."}'),
}


@app.post("/gradio_api/upload")
def upload() -> list[str]:
    return [f"{CACHE}/0/image.png"]


@app.get("/raises")
def raises() -> None:
    raise ZeroDivisionError


@app.get("/silent")
async def silent() -> None:
    await asyncio.sleep(20)


@app.get("/memory")
def memory() -> int:
    return len(b"x" * (600 << 20))


@app.get("/{path:path}")
def answer(path: str) -> PlainTextResponse:
    status, text = ANSWERS[f"/{path}"]
    return PlainTextResponse(text, status)


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["GRADIO_SERVER_PORT"]), log_level="warning")
