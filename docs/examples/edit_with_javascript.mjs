// Edit an image on a running page: node edit_with_javascript.mjs IN.png OUT.png [ADDRESS]
// Plain fetch, so it runs in Node 18 or later and, but for the files, in a browser.
import { readFile, writeFile } from "node:fs/promises";

const [input, output, address = "http://127.0.0.1:7860"] = process.argv.slice(2);
const api = `${address}/gradio_api`;

async function ask(url, options) {
  const answer = await fetch(url, options);
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
  return answer;
}

const form = new FormData();
form.append("files", new Blob([await readFile(input)]), "portrait.png");
const [path] = await (await ask(`${api}/upload`, { method: "POST", body: form })).json();

const call = await ask(`${api}/call/v2/edit`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({
    image: { path, meta: { _type: "gradio.FileData" } },
    neutral_text: "human face",
    target_text: "human face with glasses",
    alpha: 1.0,
    // more_edits: [{ target_text: "old human face", alpha: 0.5 }],  // applied together
  }),
});
const { event_id } = await call.json();

const events = await (await ask(`${api}/call/edit/${event_id}`)).text();
const data = /event: complete\s+data: (.*)/.exec(events);
if (!data) throw new Error(events);
const [image] = JSON.parse(data[1]);
const file = await ask(`${api}/file=${image.path}`);
await writeFile(output, Buffer.from(await file.arrayBuffer()));
