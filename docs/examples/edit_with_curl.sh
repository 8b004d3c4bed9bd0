#!/bin/sh
# Edit an image on a running page: sh edit_with_curl.sh IN.png OUT.png [ADDRESS]
set -eu
address=${3:-http://127.0.0.1:7860}
api=$address/gradio_api

# 1. Send the image; the answer is a list with its path on the server.
path=$(curl -sSf -F "files=@$1" "$api/upload" | sed 's/^\["//; s/"\]$//')

# 2. Ask for the edit; the answer names an event.
event=$(curl -sSf "$api/call/v2/edit" -H "Content-Type: application/json" -d '{
  "image": {"path": "'"$path"'", "meta": {"_type": "gradio.FileData"}},
  "neutral_text": "human face",
  "target_text": "human face with glasses",
  "alpha": 1.0
}' | sed 's/.*"event_id": *"\([^"]*\)".*/\1/')

# 3. Wait for the event; its last line of data holds the address of the result.
answer=$(curl -sSf "$api/call/edit/$event")
case $answer in *"event: error"*) echo "$answer" >&2; exit 1 ;; esac
result=$(printf '%s' "$answer" | sed -n 's/.*"path": *"\([^"]*\)".*/\1/p' | tail -n 1)
curl -sSf -o "$2" "$api/file=$result"
