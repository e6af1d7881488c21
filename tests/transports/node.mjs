// Node with Pyodide in it: as worker.mjs otherwise. Its `fetch` upgrades by the README's
// example; its own is there by another name.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { loadPyodide } from "pyodide";
import { program } from "./program.mjs";
import "./upgrade.mjs";

const { fetch, upgrade } = globalThis;
globalThis.ownFetch = fetch;
globalThis.fetch = (url, options) =>
  options?.headers?.Upgrade === "websocket" ? upgrade(url, options) : fetch(url, options);

const offhook = await readFile(new URL("offhook.zip", import.meta.url));
const source = await readFile(new URL("worker.py", import.meta.url), "utf-8");
// Not as the Buffer that it is: of those Pyodide does not know.
const play = program(await loadPyodide(), new Uint8Array(offhook), source);

const server = createServer(async (request, response) => {
  try {
    response.end(await play(await text(request)));
  } catch (error) {
    response.writeHead(500).end(error.stack);
  }
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify(server.address())));
process.stdin.on("end", () => process.exit()).resume();
